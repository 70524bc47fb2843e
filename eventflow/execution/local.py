"""Tasks as forks of warm templates on this machine (docs/protocols.md §8).

Flow: `start` → the template process of the run's code forks → the task's process says how it
ended → `poll`. There is one template for each state of the code; at most so many are kept, the
least recently used idle one goes first. No threads: everything happens inside of the calls.
"""

from __future__ import annotations

import os
import selectors
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from eventflow.errors import EnvironmentUnavailable
from eventflow.execution.environments.builders import Wanted
from eventflow.execution.messages import Begin, Report, Start, encode_run
from eventflow.execution.output import STREAMS, add_to_stderr
from eventflow.execution.template_process import TemplateProcess
from eventflow.model.completion import Outcome
from eventflow.model.task import TaskEnd

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eventflow.effects import Effects
    from eventflow.execution.environments.builders import Builders
    from eventflow.execution.environments.building import Environment
    from eventflow.model.task import RunPlan, TaskKey, TaskPlan

__all__ = ["LocalExecutor"]

_TICKS_A_LEASE = 10
_RESEND_S = 0.05
_CLOSING = timedelta(seconds=4)
_RETIRING = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class _Code:
    """What a template has imported, and with which variables in which environment."""

    root: str
    file: str
    variables: tuple[tuple[str, str], ...]
    environment: Environment | None

    @classmethod
    def of(cls, run: RunPlan, step: str, environment: Environment | None) -> _Code:
        variables = run.graph.step(step).how.variables
        return cls(run.code_root, run.code_file, tuple(sorted(variables.items())), environment)

    def command(self, own: Sequence[str]) -> Sequence[str]:
        """What starts the program of a template, `own` in the interpreter of this process."""
        return own if self.environment is None else [self.environment.python, *own[1:]]

    def process_variables(self) -> dict[str, str]:
        """The environment of its processes."""
        if self.environment is None:
            return {**os.environ, **dict(self.variables)}
        return self.environment.variables(os.environ, dict(self.variables))


_BURYING = _Code("", "", (), None)
"""Imports nothing: its template does what is left to do for attempts that lost theirs."""


@dataclass(frozen=True, slots=True)
class _Attempt:
    """An attempt that was started: where its output goes, on which template it runs, or for which
    environment it waits. `lost_to`: why the template that it ran on is gone."""

    task: TaskPlan
    folder: Path
    code: _Code | None = None
    waits_for: Wanted | None = None
    lost_to: str = ""

    def is_of(self, run_id: str, epoch: int) -> bool:
        return (self.task.run.request.run_id, self.task.key.epoch) == (run_id, epoch)


class LocalExecutor:
    """The executor of one process; see `port` for what it promises.

    The thread that makes it and calls it must live as long as it: its processes die with that.
    Attempts inherit the environment of this process; there is no limit on how many run at once.
    """

    def __init__(
        self,
        command: Sequence[str],
        settings: str,
        effects: Effects,
        builders: Builders,
        *,
        lease: timedelta,
        templates: int,
    ) -> None:
        """`command` starts the program of a template, whose `connect` understands `settings`:
        an interpreter and its arguments. `builders` make the environments of steps.

        Tasks are killed when `poll` is not called for the `lease`, and started anew when it is
        called again, unless they were killed by then. At most so many idle
        `templates` are kept warm.
        """
        self._begin = Begin(0, "", "", settings, tuple(command), lease.total_seconds())
        self._effects, self._builders = effects, builders
        self._most_templates = templates
        self._folder = Path(tempfile.mkdtemp(prefix="eventflow-tasks-"))
        self._selector = selectors.DefaultSelector()
        # In the order of their last use.
        self._templates: dict[_Code, TemplateProcess] = {}
        self._running: dict[int, _Attempt] = {}
        self._ended: dict[int, TaskEnd] = {}
        self._shown: dict[int, _Attempt] = {}
        self._numbers = 0
        self._ticked_at = 0.0
        self._encoded: tuple[RunPlan, bytes] | None = None

    def warm(self, run: RunPlan) -> None:
        # What fails here fails the start too, which says so.
        for node in run.graph.steps:
            with suppress(OSError, EnvironmentUnavailable):
                wanted = self._wanted(run, node.name)
                environment = self._builders.find(wanted) if wanted else None
                if wanted and not environment:
                    self._build(wanted)
                elif node.name == run.graph.start:
                    self._template(_Code.of(run, node.name, environment))

    def start(self, task: TaskPlan) -> None:
        number = self._next_number()
        self._start(number, _Attempt(task, self._folder / str(number)))

    def poll(self, timeout: timedelta) -> Sequence[TaskEnd]:
        self._forget_shown()
        deadline = time.monotonic() + timeout.total_seconds()
        while True:
            self._tick()
            pause = 0.0 if self._ended else self._pause(deadline)
            for key, _ in self._selector.select(pause):
                if isinstance(key.data, Wanted):
                    self._hear_builder(key.data)
                else:
                    self._hear(key.data)
            if self._ended or time.monotonic() >= deadline:
                break
        ended, self._ended = tuple(self._ended.values()), {}
        self._retire()
        return ended

    def outputs(self, run_id: str) -> Iterator[tuple[TaskKey, Path]]:
        """The attempts of a run and the folders with what they print (`stdout`, `stderr`): those
        that run, and until the next `poll` those that the last one reported."""
        for attempt in (*self._shown.values(), *self._running.values()):
            if attempt.task.run.request.run_id == run_id:
                yield attempt.task.key, attempt.folder

    def interrupt(self, run_id: str, epoch: int) -> None:
        """Send SIGINT to the tasks of one execution: to Python code a KeyboardInterrupt. Their
        ends are reported; one that goes on is for `kill`."""
        asked = {
            number: each for number, each in self._running.items() if each.is_of(run_id, epoch)
        }
        for number in [number for number, each in asked.items() if each.waits_for]:
            text = "stopped while its environment was built"
            self._end(number, Report(Outcome.FAILED, (), text))
        codes = {each.code for each in asked.values()}
        for code in [each for each in self._templates if each in codes]:
            self._templates[code].interrupt(run_id, epoch)

    def kill(self, run_id: str, epoch: int) -> None:
        doomed = {
            number: attempt
            for number, attempt in (self._running | self._shown).items()
            if attempt.is_of(run_id, epoch)
        }
        for number, attempt in doomed.items():
            self._running.pop(number, None)
            self._ended.pop(number, None)
            if attempt.code is None:  # no template will say that it has ended
                _remove(attempt.folder)
        codes = {attempt.code for attempt in doomed.values()}
        for code in [each for each in self._templates if each in codes]:
            self._templates[code].kill(run_id, epoch)

    def close(self) -> None:
        deadline = time.monotonic() + _CLOSING.total_seconds()
        for template in self._templates.values():
            template.ask_to_close()
        for template in self._templates.values():
            self._selector.unregister(template.channel)
            template.close(timedelta(seconds=max(0.0, deadline - time.monotonic())))
        self._templates.clear()
        self._builders.close()
        self._selector.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    # ── templates ────────────────────────────────────────────────────────────

    def _template(self, code: _Code) -> TemplateProcess:
        """The template of that code, now the one that was used last.

        Raises:
            OSError: it cannot be started.
        """
        if code in self._templates:
            self._hear(code)
        template = self._templates.pop(code, None) or self._new_template(code)
        self._templates[code] = template
        return template

    def _new_template(self, code: _Code) -> TemplateProcess:
        begin = replace(
            self._begin,
            parent=os.getpid(),
            code_root=code.root,
            code_file=code.file,
            command=code.command(self._begin.command),
        )
        template = TemplateProcess(
            begin,
            self._new_log("template"),
            code.process_variables(),
            keeps=self._builders.holds(code.environment),
        )
        self._selector.register(template.channel, selectors.EVENT_READ, code)
        return template

    def _new_log(self, of: str) -> Path:
        self._folder.mkdir(exist_ok=True)
        return self._folder / f"{of}-{self._next_number()}.log"

    def _hear(self, code: _Code) -> None:
        template = self._templates[code]
        for message in template.receive():
            if message["is"] == "ended":
                self._end(message["number"], Report.from_message(message))
        if template.is_gone:
            self._lose(code)

    def _lose(self, code: _Code) -> None:
        """A template is gone, and its attempts with it. Where it left because this process was
        silent, no task has failed: whoever polls has its lease still, and they start anew."""
        template = self._templates.pop(code)
        self._selector.unregister(template.channel)
        reason = template.bury()
        for number in [number for number, each in self._running.items() if each.code == code]:
            if code == _BURYING:
                self._end(number, Report(Outcome.FAILED, (), self._running[number].lost_to))
            elif template.left_for_silence:
                self._start_anew(number)
            else:
                self._bury(number, reason)

    def _bury(self, number: int, reason: str) -> None:
        """An attempt was lost with its template: another one, without its code, keeps what it
        printed, and says why it ended."""
        attempt = replace(self._running[number], code=_BURYING, lost_to=reason)
        self._running[number] = attempt
        task, folder = attempt.task, str(attempt.folder)
        start = Start.of(number, task, folder, self._encode(task.run))
        try:
            self._template(_BURYING).start(replace(start, post_mortem=reason))
        except OSError as error:
            text = f"{reason}; its output could not be kept: {error}"
            self._end(number, Report(Outcome.FAILED, (), text))

    def _start_anew(self, number: int) -> None:
        attempt = self._running.pop(number)
        _remove(attempt.folder)
        self.start(attempt.task)

    def _retire(self) -> None:
        self._builders.let_go()
        busy = {attempt.code for attempt in self._running.values()}
        idle = [code for code in self._templates if code not in busy]
        for code in idle[: max(0, len(self._templates) - self._most_templates)]:
            template = self._templates.pop(code)
            self._selector.unregister(template.channel)
            template.ask_to_close()
            template.close(_RETIRING)

    # ── environments ─────────────────────────────────────────────────────────

    def _wanted(self, run: RunPlan, step: str) -> Wanted | None:
        packages = run.graph.step(step).how.packages
        return None if packages is None else self._builders.wanted(run.project, packages)

    def _build(self, wanted: Wanted) -> None:
        self._builders.begin(wanted, self._new_log("builder"), self._selector)

    def _hear_builder(self, wanted: Wanted) -> None:
        reason = self._builders.ended(wanted)
        if reason is None:
            return
        for number, attempt in tuple(self._running.items()):
            if attempt.waits_for != wanted:
                continue
            if reason:
                text = f"its environment cannot be made: {reason}"
                self._end(number, Report(Outcome.FAILED, (), text))
            else:
                del self._running[number]
                self._start(number, replace(attempt, waits_for=None))

    # ── attempts ─────────────────────────────────────────────────────────────

    def _start(self, number: int, attempt: _Attempt) -> None:
        task = attempt.task
        try:
            wanted = self._wanted(task.run, task.key.step)
            environment = self._builders.find(wanted) if wanted else None
            # What goes on after a failure does not run the step: it needs no packages.
            if wanted and not environment and not task.failure:
                self._wait(number, replace(attempt, waits_for=wanted), wanted)
                return
            # Before the attempt is noted: a template that is found dead here is not its end.
            code = _Code.of(task.run, task.key.step, environment)
            template = self._template(code)
            # Temporary folders are cleaned behind our back.
            attempt.folder.mkdir(parents=True, exist_ok=True)
        except (OSError, EnvironmentUnavailable) as error:
            self._running[number] = attempt
            self._end(number, Report(Outcome.FAILED, (), f"it cannot be started: {error}"))
            return
        self._running[number] = replace(attempt, code=code)
        template.start(Start.of(number, task, str(attempt.folder), self._encode(task.run)))

    def _wait(self, number: int, attempt: _Attempt, wanted: Wanted) -> None:
        attempt.folder.mkdir(parents=True, exist_ok=True)
        add_to_stderr(str(attempt.folder), f"eventflow: building an environment: {wanted.text}\n")
        self._build(wanted)
        self._running[number] = attempt

    def _next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _encode(self, run: RunPlan) -> bytes:
        """The run as bytes; the last one is remembered, for its next task."""
        if self._encoded is None or self._encoded[0] is not run:
            self._encoded = (run, encode_run(run))
        return self._encoded[1]

    def _end(self, number: int, report: Report) -> None:
        attempt = self._running.pop(number, None)
        if attempt is None:  # it was killed, and its output is kept now
            _remove(self._folder / str(number))
            return
        self._shown[number] = attempt
        self._ended[number] = TaskEnd(
            run_id=attempt.task.run.request.run_id,
            key=attempt.task.key,
            outcome=report.outcome,
            next_steps=report.next_steps,
            reason=" ".join(report.reason.splitlines()),
            ended_at=self._effects.clock.now(),
            splits=report.splits,
            is_final=report.is_final,
        )

    def _forget_shown(self) -> None:
        for number in [number for number in self._shown if number not in self._ended]:
            _remove(self._shown.pop(number).folder)

    # ── time ─────────────────────────────────────────────────────────────────

    def _tick(self) -> None:
        for template in self._templates.values():
            template.channel.flush()
        now = time.monotonic()
        if now - self._ticked_at >= self._begin.lease_s / _TICKS_A_LEASE:
            self._ticked_at = now
            for template in self._templates.values():
                template.tick()

    def _pause(self, deadline: float) -> float:
        """How long to wait for news: for ever is too long while something is to be sent."""
        has_unsent = any(each.channel.has_unsent for each in self._templates.values())
        longest = _RESEND_S if has_unsent else self._begin.lease_s / _TICKS_A_LEASE
        return max(0.0, min(longest, deadline - time.monotonic()))


def _remove(folder: Path) -> None:
    """Remove the folder of an attempt: quickly what each has, then whatever else is there."""
    try:
        for stream in STREAMS:
            os.unlink(f"{folder}/{stream}")
        os.rmdir(folder)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
