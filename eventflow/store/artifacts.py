"""The artifacts of an attempt of a task: one `artifacts.json`, put last, so all of them or none.

Small values stand in the file; larger ones are blobs, put before it, that it refers to by
digest. Reading the file loads no value; a value is loaded, and verified, when it is asked for.
A reference can be carried over to the next task without loading: a blob is never changed.
"""

from __future__ import annotations

import binascii
import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from eventflow.errors import (
    ArtifactNotReadable,
    ArtifactNotStorable,
    CorruptObject,
    ObjectMissing,
)
from eventflow.model.offset import Offset
from eventflow.model.task import Item, TaskKey
from eventflow.store.blobs import digest_of, get_blob, get_own_blob
from eventflow.store.deciding import decide, encode_json, parse_json, read_json
from eventflow.store.encoders import Encoded, check_readable, decode, encode
from eventflow.store.layout import blob_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from eventflow.store.deciding import Decided
    from eventflow.store.layout import RunPlace
    from eventflow.store.pieces import Buffer, Data
    from eventflow.store.port import Store

__all__ = [
    "ArtifactRef",
    "TaskRecord",
    "find_tasks",
    "load_value",
    "read_task",
    "read_tasks",
    "ref_from_text",
    "ref_to_text",
    "save_apart",
    "save_values",
    "write_clones",
    "write_task",
]

INLINE_BYTES = 32 * 1024
_CLONE = "clone"


@dataclass(frozen=True, slots=True)
class ArtifactRef:
    """One version of an artifact: where its value is, not the value.

    `digest` is the SHA-256 of the `size_bytes` encoded bytes. They are `inline`, or, when that
    is None, in the blob of that digest.
    """

    name: str
    digest: str
    size_bytes: int
    encoder: str
    type_name: str
    inline: bytes | None


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """What an attempt leaves when it succeeded.

    `artifacts` has all of the task's, inherited ones too. `inputs` are the attempts that it read
    from, `items` the levels of foreach around it. `splits` is how many tasks it opened, of a
    foreach. `published` are the offsets of the
    events that it published. `origin` is the run that it was cloned from, empty when it ran here.
    Times are aware UTC.
    """

    key: TaskKey
    artifacts: Mapping[str, ArtifactRef]
    next_steps: tuple[str, ...]
    published: tuple[Offset, ...]
    started_at: datetime
    finished_at: datetime
    inputs: tuple[TaskKey, ...] = ()
    splits: int = 0
    items: tuple[Item, ...] = ()
    origin: str = ""


def save_values(store: Store, project: str, values: Mapping[str, object]) -> dict[str, ArtifactRef]:
    """Make values into references, by name; on return the large ones are durable blobs.

    A large array or table is written from where it is. What has to be made of a value to be
    written (a pickle, a compressed form) is held in memory of a few values at a time.

    Raises:
        ArtifactNotStorable: no encoder takes one of them; the message names it and says why.
    """
    refs: dict[str, ArtifactRef] = {}

    def blobs() -> Iterator[tuple[str, Data]]:
        for name in sorted(values):
            encoded = _encode(name, values[name])
            refs[name] = ref = _ref(name, encoded)
            if ref.inline is None:
                yield blob_key(project, ref.digest), encoded.pieces

    store.put_all(blobs())
    return refs


def save_apart(store: Store, project: str, values: Mapping[str, object]) -> dict[str, ArtifactRef]:
    """As `save_values`, with each value in a blob, so that every reference is small."""
    refs = save_values(store, project, values)
    inline = {ref.digest: ref.inline for ref in refs.values() if ref.inline is not None}
    store.put_all((blob_key(project, digest), data) for digest, data in inline.items())
    return {name: replace(ref, inline=None) for name, ref in refs.items()}


def ref_to_text(ref: ArtifactRef) -> str:
    """A reference as JSON text, without its name."""
    return json.dumps(_ref_to_json(ref), separators=(",", ":"))


def ref_from_text(name: str, text: str) -> ArtifactRef:
    """The reference that `ref_to_text` made a text of.

    Raises:
        CorruptObject: it is none.
    """
    try:
        return _ref_from_json(name, json.loads(text))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CorruptObject(f"{text[:80]!r} is no reference to a value: {error!r}.") from error


def load_value(store: Store, project: str, ref: ArtifactRef, *, allow_pickle: bool) -> Any:
    """The value of an artifact, its bytes verified by their digest: the caller's to change.

    Raises:
        ObjectMissing: its blob is gone.
        CorruptObject: its bytes are not the ones that were written.
        ArtifactNotReadable: it is a pickle and `allow_pickle` is false, or what it needs is not
            importable here.
    """
    try:
        check_readable(ref.encoder, allow_pickle=allow_pickle)
        return decode(ref.encoder, _encoded(store, project, ref), allow_pickle=allow_pickle)
    except ArtifactNotReadable as error:
        raise ArtifactNotReadable(f"Artifact {ref.name!r} cannot be read: {error}") from error
    except CorruptObject as error:
        raise CorruptObject(f"Artifact {ref.name!r} cannot be read: {error}") from error


def write_task(store: Store, place: RunPlace, record: TaskRecord, nonce: str) -> Decided:
    """Make an attempt's artifacts visible, all at once; `is_mine` says whether these are they.

    The last of its puts: what `record` refers to has to be durable.
    """
    return decide(store, place.artifacts(record.key), _record_to_json(record), nonce=nonce)


def write_clones(store: Store, place: RunPlace, records: Sequence[TaskRecord]) -> None:
    """Make the artifacts of tasks visible that a run takes over from another, each on its own.

    On return all are durable; a repeat is harmless: nobody else writes attempts of that name.
    """
    store.put_all(
        (place.artifacts(each.key), encode_json({"nonce": _CLONE, **_record_to_json(each)}))
        for each in records
    )


def read_task(store: Store, place: RunPlace, key: TaskKey) -> TaskRecord:
    """What an attempt left, by one read; no value is loaded.

    Raises:
        ObjectMissing: it left nothing: it did not succeed, or has not yet.
        CorruptObject: it cannot be read.
    """
    return _record_of(store, place, key, read_json(store, place.artifacts(key)))


def read_tasks(store: Store, place: RunPlace, keys: Sequence[TaskKey]) -> Iterator[TaskRecord]:
    """What several attempts left, in the order of `keys`; read in parallel where that helps.

    Raises:
        ObjectMissing, CorruptObject: as `read_task`, when its turn comes.
    """
    for key, record in zip(keys, find_tasks(store, place, keys), strict=True):
        if record is None:
            raise ObjectMissing(f"{store.url}/{place.artifacts(key)} does not exist.")
        yield record


def find_tasks(
    store: Store, place: RunPlace, keys: Sequence[TaskKey]
) -> Iterator[TaskRecord | None]:
    """The same, and None of an attempt that left nothing."""
    found = store.get_all(place.artifacts(key) for key in keys)
    for key, (name, data) in zip(keys, found, strict=True):
        if data is None:
            yield None
        else:
            yield _record_of(store, place, key, parse_json(store, name, data))


def _record_of(store: Store, place: RunPlace, key: TaskKey, content: dict[str, Any]) -> TaskRecord:
    try:
        return _record_from_json(key, content)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CorruptObject(
            f"{store.url}/{place.artifacts(key)} is not what it should be: {error!r}."
        ) from error


def _encoded(store: Store, project: str, ref: ArtifactRef) -> Buffer:
    if ref.inline is not None:
        if digest_of(ref.inline) != ref.digest:
            raise CorruptObject("it is not what its digest says.")
        return ref.inline
    # An artifact of bytes is the object as it is, and others are views of it.
    get = get_blob if ref.encoder == "bytes" else get_own_blob
    return get(store, project, ref.digest)


def _encode(name: str, value: object) -> Encoded:
    try:
        return encode(value)
    except ArtifactNotStorable as error:
        raise ArtifactNotStorable(
            f"Artifact {name!r} cannot be stored: {error}. Keep that out of `self`, or give its"
            " class __getstate__ and __setstate__.",
            artifact=name,
        ) from error


def _ref(name: str, encoded: Encoded) -> ArtifactRef:
    size = encoded.pieces.size_bytes
    return ArtifactRef(
        name=name,
        digest=digest_of(encoded.pieces),
        size_bytes=size,
        encoder=encoded.encoder,
        type_name=encoded.type_name,
        inline=encoded.data if size < INLINE_BYTES else None,
    )


def _record_to_json(record: TaskRecord) -> dict[str, Any]:
    return {
        "step": record.key.step,
        "task": record.key.task,
        "epoch": record.key.epoch,
        "attempt": record.key.attempt,
        "artifacts": {name: _ref_to_json(ref) for name, ref in record.artifacts.items()},
        "next_steps": record.next_steps,
        "published": [_offset_to_json(offset) for offset in record.published],
        "started_at": record.started_at.isoformat(),
        "finished_at": record.finished_at.isoformat(),
        "inputs": [_key_to_json(each) for each in record.inputs],
        "items": [[_key_to_json(each.opened_by), each.index, each.count] for each in record.items],
        "splits": record.splits,
        "origin": record.origin,
    }


def _record_from_json(key: TaskKey, content: dict[str, Any]) -> TaskRecord:
    written = TaskKey(content["epoch"], content["step"], content["task"], content["attempt"])
    if written != key:
        raise ValueError(f"it is of {written.path}")
    return TaskRecord(
        key=key,
        artifacts={name: _ref_from_json(name, ref) for name, ref in content["artifacts"].items()},
        next_steps=tuple(content["next_steps"]),
        published=tuple(Offset(*offset) for offset in content["published"]),
        started_at=datetime.fromisoformat(content["started_at"]),
        finished_at=datetime.fromisoformat(content["finished_at"]),
        inputs=tuple(TaskKey(*each) for each in content["inputs"]),
        splits=content["splits"],
        items=tuple(Item(TaskKey(*key), *numbers) for key, *numbers in content["items"]),
        origin=content["origin"],
    )


def _ref_to_json(ref: ArtifactRef) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "digest": ref.digest,
        "size_bytes": ref.size_bytes,
        "encoder": ref.encoder,
        "type": ref.type_name,
    }
    if ref.inline is not None:
        entry["inline"] = binascii.b2a_base64(ref.inline, newline=False).decode()
    return entry


def _ref_from_json(name: str, entry: dict[str, Any]) -> ArtifactRef:
    inline = entry.get("inline")
    return ArtifactRef(
        name=name,
        digest=entry["digest"],
        size_bytes=entry["size_bytes"],
        encoder=entry["encoder"],
        type_name=entry["type"],
        inline=None if inline is None else binascii.a2b_base64(inline, strict_mode=True),
    )


def _key_to_json(key: TaskKey) -> list[object]:
    return [key.epoch, key.step, key.task, key.attempt]


def _offset_to_json(offset: Offset) -> list[object]:
    return [offset.topic, offset.topic_id, offset.partition, offset.offset]
