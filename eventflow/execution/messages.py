"""What an executor, its template processes and their tasks say to each other, as bytes.

A message is a JSON object with a body of bytes behind it, both with their lengths in front. The
body of a start is its run, which only the task itself reads.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from eventflow.model.completion import Outcome
from eventflow.model.task import Item, RunPlan, TaskKey, TaskPlan
from eventflow.store.runs import RunFile, run_from_json, run_to_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "Begin",
    "Message",
    "Messages",
    "Report",
    "Start",
    "decode_run",
    "encode_run",
    "pack",
]

_LENGTHS = struct.Struct("!II")
_encode = json.JSONEncoder(separators=(",", ":")).encode
_decode = json.JSONDecoder().decode

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Begin:
    """The first message to a template process, or to a task in an interpreter of its own.

    `parent` is the process that started it; `settings` is for the program's `connect`; `command`
    starts that program; `lease_s` is how long the runner may be silent.
    """

    parent: int
    code_root: str
    code_file: str
    settings: str
    command: Sequence[str]
    lease_s: float

    def to_message(self) -> bytes:
        """As bytes, ready to send."""
        return pack({"do": "begin", **asdict(self)})

    @classmethod
    def from_message(cls, message: Message) -> Begin:
        """What `to_message` made."""
        return cls(**{name: value for name, value in message.items() if name != "do"})


@dataclass(frozen=True, slots=True)
class Start:
    """Run an attempt. `number` is its name between executor and template; `folder` is where its
    output goes; `run` is the plan of its run, encoded. It is killed after `timeout_s`; 0 lets it
    run.

    With `post_mortem` the attempt has died of that, and what is left is to keep its output, without
    what it `hides`: the values of its secrets.
    """

    number: int
    run_id: str
    key: TaskKey
    inputs: tuple[TaskKey, ...]
    folder: str
    run: bytes
    items: tuple[Item, ...] = ()
    failure: str = ""
    timeout_s: float = 0.0
    post_mortem: str = ""
    hides: tuple[str, ...] = ()

    @classmethod
    def of(cls, number: int, task: TaskPlan, folder: str, run: bytes) -> Start:
        """The start of a task."""
        return cls(
            number=number,
            run_id=task.run.request.run_id,
            key=task.key,
            inputs=task.inputs,
            folder=folder,
            run=run,
            items=task.items,
            failure=task.failure,
            timeout_s=task.run.graph.step(task.key.step).how.timeout_s,
        )

    def to_message(self, *, with_run: bool = True) -> bytes:
        """As bytes, ready to send; without the run to a process that has it already."""
        return pack(
            {
                "do": "start",
                "number": self.number,
                "run_id": self.run_id,
                "key": _key_to_json(self.key),
                "inputs": [_key_to_json(each) for each in self.inputs],
                "folder": self.folder,
                "items": [
                    [_key_to_json(each.opened_by), each.index, each.count] for each in self.items
                ],
                "failure": self.failure,
                "timeout_s": self.timeout_s,
                "post_mortem": self.post_mortem,
                "hides": self.hides,
            },
            self.run if with_run else b"",
        )

    @classmethod
    def from_message(cls, message: Message, body: bytes) -> Start:
        """What `to_message` made."""
        return cls(
            number=message["number"],
            run_id=message["run_id"],
            key=TaskKey(*message["key"]),
            inputs=tuple(TaskKey(*each) for each in message["inputs"]),
            folder=message["folder"],
            run=body,
            items=tuple(
                Item(TaskKey(*key), index, count) for key, index, count in message["items"]
            ),
            failure=message["failure"],
            timeout_s=message["timeout_s"],
            post_mortem=message["post_mortem"],
            hides=tuple(message["hides"]),
        )

    def plan(self, known: RunPlan | None = None) -> TaskPlan:
        """The whole plan of the task; `known` is its run where that was not sent along."""
        run = decode_run(self.run) if self.run else known
        assert run is not None, "a start without its run"
        return TaskPlan(run, self.key, self.inputs, self.items, self.failure)


@dataclass(frozen=True, slots=True)
class Report:
    """How an attempt ended, as `TaskEnd` has it."""

    outcome: Outcome
    next_steps: tuple[str, ...] = ()
    reason: str = ""
    splits: int = 0
    is_final: bool = False

    def to_message(self, **more: Any) -> bytes:
        """As bytes, ready to send."""
        return pack(
            {
                "is": "ended",
                "outcome": self.outcome.value,
                "next_steps": self.next_steps,
                "reason": self.reason,
                "splits": self.splits,
                "is_final": self.is_final,
                **more,
            }
        )

    @classmethod
    def from_message(cls, message: Message) -> Report:
        """What `to_message` made."""
        return cls(
            outcome=Outcome(message["outcome"]),
            next_steps=tuple(message["next_steps"]),
            reason=str(message["reason"]),
            splits=int(message["splits"]),
            is_final=bool(message["is_final"]),
        )


class Messages:
    """Bytes as they come in, cut into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[Message, bytes]]:
        """The messages that are whole now, with their bodies."""
        self._buffer += data
        while (size := self._size_of_first()) is not None:
            head_end = _LENGTHS.size + size[0]
            end = head_end + size[1]
            head = self._buffer[_LENGTHS.size : head_end]
            body = bytes(self._buffer[head_end:end])
            del self._buffer[:end]
            yield _decode(head.decode()), body

    @property
    def missing_bytes(self) -> int:
        """How many bytes the message that comes in now still needs, as far as is known."""
        if len(self._buffer) < _LENGTHS.size:
            return _LENGTHS.size - len(self._buffer)
        head, body = _LENGTHS.unpack_from(self._buffer)
        return _LENGTHS.size + int(head) + int(body) - len(self._buffer)

    def _size_of_first(self) -> tuple[int, int] | None:
        if len(self._buffer) < _LENGTHS.size:
            return None
        head, body = _LENGTHS.unpack_from(self._buffer)
        return (head, body) if len(self._buffer) >= _LENGTHS.size + head + body else None


def pack(message: Message, body: bytes = b"") -> bytes:
    """One message as bytes."""
    head = _encode(message).encode()
    return _LENGTHS.pack(len(head), len(body)) + head + body


def encode_run(run: RunPlan) -> bytes:
    """A run for its tasks."""
    content = run_to_json(RunFile(run.request, run.graph, ""))
    more = {"code_root": run.code_root, "code_file": run.code_file, "epoch": run.epoch}
    return json.dumps({**more, "run": content}, separators=(",", ":")).encode()


def decode_run(data: bytes) -> RunPlan:
    """What `encode_run` made."""
    content = json.loads(data)
    run = run_from_json(content["run"])
    return RunPlan(
        request=run.request,
        graph=run.graph,
        code_root=content["code_root"],
        code_file=content["code_file"],
        epoch=content["epoch"],
    )


def _key_to_json(key: TaskKey) -> list[object]:
    return [key.epoch, key.step, key.task, key.attempt]
