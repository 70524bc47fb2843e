"""Artifacts and blobs, on each backend: all of a task's or none, verified when read."""

from __future__ import annotations

import json
import os
import threading
import tracemalloc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from eventflow.errors import (
    ArtifactNotReadable,
    ArtifactNotStorable,
    CorruptObject,
    ObjectMissing,
)
from eventflow.model.offset import Offset
from eventflow.model.task import TaskKey
from eventflow.store.artifacts import (
    ArtifactRef,
    TaskRecord,
    load_value,
    read_task,
    save_values,
    write_task,
)
from eventflow.store.blobs import get_blob, put_blob
from eventflow.store.layout import RunPlace, blob_key
from eventflow.store.port import Store
from tests.contract.store_doubles import LosesAnswers, NotesReads
from tests.contract.store_fixtures import StorePlace, place, store
from tests.simulation.simulated_store import SimulatedStore

__all__ = ["place", "store"]

RUN = RunPlace("fraud/prod", "TrainFlow", "rabc")
TRAIN = TaskKey(epoch=1, step="train")
LARGE = os.urandom(100_000)
VALUES: Mapping[str, object] = {"small": {"a": [1, 2.5, None]}, "large": LARGE, "empty": b""}


def record_of(artifacts: Mapping[str, ArtifactRef], key: TaskKey = TRAIN) -> TaskRecord:
    return TaskRecord(
        key=key,
        artifacts=artifacts,
        next_steps=("evaluate", "publish"),
        published=(Offset("eventflow.events", "topic-id", 3, 17),),
        started_at=datetime(2026, 1, 2, 3, 4, 5, 678, UTC),
        finished_at=datetime(2026, 1, 2, 3, 5, tzinfo=UTC),
        inputs=(TaskKey(1, "start"), TaskKey(2, "load", "0-3", 1)),
    )


def test_a_task_is_read_as_it_was_written(store: Store) -> None:
    record = record_of(save_values(store, "fraud", VALUES))

    decided = write_task(store, RUN, record, "nonce")

    assert decided.is_mine
    assert read_task(store, RUN, TRAIN) == record


def test_values_come_back(store: Store) -> None:
    write_task(store, RUN, record_of(save_values(store, "fraud", VALUES)), "nonce")

    artifacts = read_task(store, RUN, TRAIN).artifacts
    loaded = {
        name: load_value(store, "fraud", ref, allow_pickle=False) for name, ref in artifacts.items()
    }

    assert loaded == VALUES


def test_nothing_of_a_task_is_seen_before_all_of_it_is(store: Store) -> None:
    save_values(store, "fraud", VALUES)

    with pytest.raises(ObjectMissing):
        read_task(store, RUN, TRAIN)


def test_the_first_record_of_an_attempt_stands(store: Store) -> None:
    first = record_of(save_values(store, "fraud", {"x": 1}))
    second = record_of(save_values(store, "fraud", {"x": 2}))

    assert write_task(store, RUN, first, "a").is_mine
    assert not write_task(store, RUN, second, "b").is_mine
    assert read_task(store, RUN, TRAIN) == first


def test_a_task_whose_answer_was_lost_is_written(store: Store) -> None:
    record = record_of(save_values(store, "fraud", VALUES))

    assert write_task(LosesAnswers(store), RUN, record, "nonce").is_mine


def test_small_values_stand_in_the_record_and_large_ones_beside_it(store: Store) -> None:
    refs = save_values(store, "fraud", VALUES)

    assert refs["small"].inline is not None
    assert refs["empty"].inline == b""
    assert refs["large"].inline is None
    blobs = [each.key for each in store.list("projects/fraud/blobs/")]
    assert blobs == [blob_key("fraud", refs["large"].digest)]


def test_a_record_is_plain_json_with_its_artifacts_in_order(store: Store) -> None:
    write_task(store, RUN, record_of(save_values(store, "fraud", VALUES)), "nonce")

    content = json.loads(store.get(RUN.artifacts(TRAIN)))

    assert list(content["artifacts"]) == ["empty", "large", "small"]
    assert content["artifacts"]["large"].keys() == {"digest", "size_bytes", "encoder", "type"}
    assert content["artifacts"]["large"]["size_bytes"] == len(LARGE)
    assert content["artifacts"]["large"]["type"] == "bytes"


def test_reading_a_task_reads_one_object_and_a_value_one_more(store: Store) -> None:
    write_task(store, RUN, record_of(save_values(store, "fraud", VALUES)), "nonce")
    noting = NotesReads(store)

    artifacts = read_task(noting, RUN, TRAIN).artifacts
    assert noting.reads == [RUN.artifacts(TRAIN)]

    load_value(noting, "fraud", artifacts["small"], allow_pickle=False)
    assert len(noting.reads) == 1

    load_value(noting, "fraud", artifacts["large"], allow_pickle=False)
    assert noting.reads[1:] == [blob_key("fraud", artifacts["large"].digest)]


def test_an_artifact_is_inherited_without_being_loaded(store: Store) -> None:
    write_task(store, RUN, record_of(save_values(store, "fraud", VALUES)), "a")
    noting = NotesReads(store)
    after = TaskKey(epoch=1, step="evaluate")

    inherited = read_task(noting, RUN, TRAIN).artifacts
    new = save_values(noting, "fraud", {"score": 0.5})
    write_task(noting, RUN, record_of({**inherited, **new}, after), "b")

    assert noting.reads == [RUN.artifacts(TRAIN)]
    large = read_task(store, RUN, after).artifacts["large"]
    assert load_value(store, "fraud", large, allow_pickle=False) == LARGE


def test_equal_values_are_one_blob(store: Store) -> None:
    one = save_values(store, "fraud", {"a": LARGE})
    other = save_values(store, "fraud", {"b": bytes(LARGE)})

    assert one["a"].digest == other["b"].digest
    assert len(list(store.list("projects/fraud/blobs/"))) == 1


def test_a_large_array_comes_back_writable(store: Store) -> None:
    array = np.random.default_rng(1).normal(size=(1000, 3000))

    refs = save_values(store, "fraud", {"array": array})
    loaded = load_value(store, "fraud", refs["array"], allow_pickle=False)

    assert refs["array"].encoder == "numpy"
    assert refs["array"].type_name == "numpy.ndarray"
    np.testing.assert_array_equal(loaded, array)
    loaded += 1


def test_saving_and_loading_a_large_array_takes_no_copy_of_it(store: Store) -> None:
    if isinstance(store, SimulatedStore):
        pytest.skip("a store in memory, which is a copy")
    array = np.random.default_rng(1).random(4_000_000)

    with _peak() as saving:
        ref = save_values(store, "fraud", {"array": array})["array"]
    with _peak() as loading:
        loaded = load_value(store, "fraud", ref, allow_pickle=False)

    in_flight = 16 * 8 * 2**20 if store.url.startswith("s3:") else 2**20
    assert saving.bytes < in_flight
    assert loading.bytes < array.nbytes + in_flight
    np.testing.assert_array_equal(loaded, array)


@dataclass
class _Peak:
    bytes: int = 0


@contextmanager
def _peak() -> Iterator[_Peak]:
    """The most memory that was taken in the block, of what Python and numpy take."""
    found = _Peak()
    tracemalloc.start()
    try:
        yield found
        found.bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_what_was_loaded_is_the_loaders_own(store: Store) -> None:
    ref = save_values(store, "fraud", {"array": np.arange(1_000_000)})["array"]

    loaded = load_value(store, "fraud", ref, allow_pickle=False)
    loaded[:] = 0

    again = load_value(store, "fraud", ref, allow_pickle=False)
    np.testing.assert_array_equal(again, np.arange(1_000_000))


def test_a_changed_array_is_corrupt_and_named(place: StorePlace, store: Store) -> None:
    ref = save_values(store, "fraud", {"array": np.random.default_rng(1).random(200_000)})["array"]
    key = blob_key("fraud", ref.digest)
    place.overwrite(key, store.get(key)[:-1] + b"x")

    with pytest.raises(CorruptObject, match=f"'array'.*{ref.digest}"):
        load_value(store, "fraud", ref, allow_pickle=False)


@pytest.mark.parametrize("name", ["large", "small"])
def test_changed_bytes_are_corrupt(place: StorePlace, store: Store, name: str) -> None:
    refs = save_values(store, "fraud", VALUES)
    write_task(store, RUN, record_of(refs), "nonce")
    key = blob_key("fraud", refs["large"].digest)
    place.overwrite(key, bytes([LARGE[0] ^ 1]) + LARGE[1:])
    content = json.loads(store.get(RUN.artifacts(TRAIN)))
    content["artifacts"]["small"]["inline"] = content["artifacts"]["small"]["inline"][:-4]
    place.overwrite(RUN.artifacts(TRAIN), json.dumps(content).encode())

    ref = read_task(store, RUN, TRAIN).artifacts[name]

    with pytest.raises(CorruptObject):
        load_value(store, "fraud", ref, allow_pickle=False)


def test_a_truncated_blob_is_corrupt(place: StorePlace, store: Store) -> None:
    digest = put_blob(store, "fraud", LARGE)
    place.overwrite(blob_key("fraud", digest), LARGE[:-1])

    with pytest.raises(CorruptObject, match=digest):
        get_blob(store, "fraud", digest)


def _without(content: dict[str, Any], *path: str) -> dict[str, Any]:
    inner = content
    for part in path[:-1]:
        inner = inner[part]
    del inner[path[-1]]
    return content


@pytest.mark.parametrize(
    "path",
    [["step"], ["artifacts"], ["artifacts", "large", "digest"], ["published"], ["started_at"]],
    ids=".".join,
)
def test_a_record_with_something_missing_is_corrupt(
    place: StorePlace, store: Store, path: list[str]
) -> None:
    write_task(store, RUN, record_of(save_values(store, "fraud", VALUES)), "nonce")
    content = json.loads(store.get(RUN.artifacts(TRAIN)))
    place.overwrite(RUN.artifacts(TRAIN), json.dumps(_without(content, *path)).encode())

    with pytest.raises(CorruptObject, match=r"artifacts\.json"):
        read_task(store, RUN, TRAIN)


def test_a_record_of_another_task_is_corrupt(store: Store) -> None:
    other = TaskKey(epoch=1, step="train", attempt=1)
    write_task(store, RUN, record_of({}, other), "nonce")
    store.put(RUN.artifacts(TRAIN), store.get(RUN.artifacts(other)))

    with pytest.raises(CorruptObject, match="e1/train/0/1"):
        read_task(store, RUN, TRAIN)


def test_a_value_whose_blob_is_gone_is_missing(store: Store) -> None:
    refs = save_values(store, "fraud", VALUES)
    store.delete([blob_key("fraud", refs["large"].digest)])

    with pytest.raises(ObjectMissing):
        load_value(store, "fraud", refs["large"], allow_pickle=False)


def test_a_blob_belongs_to_its_project(store: Store) -> None:
    digest = put_blob(store, "fraud", LARGE)

    with pytest.raises(ObjectMissing):
        get_blob(store, "other", digest)


def test_a_value_that_cannot_be_stored_is_named_with_the_reason(store: Store) -> None:
    with pytest.raises(ArtifactNotStorable, match=r"'rows'.*: it is a generator.*make a list"):
        save_values(store, "fraud", {"a": 1, "rows": (each for each in "ab")})
    with pytest.raises(ArtifactNotStorable, match=r"'model'.*: its \['lock'\] is a _thread.lock"):
        save_values(store, "fraud", {"model": {"lock": threading.Lock()}})


def test_a_large_pickle_that_is_refused_is_not_even_read(store: Store) -> None:
    refs = save_values(store, "fraud", {"model": (LARGE, 1), "framed": ({1: np.ones(10_000)},)})
    noting = NotesReads(store)

    for name, ref in refs.items():
        with pytest.raises(ArtifactNotReadable, match=f"'{name}'.*EVENTFLOW_STORE__ALLOW_PICKLE"):
            load_value(noting, "fraud", ref, allow_pickle=False)

    assert noting.reads == []


def test_a_pickle_is_refused_by_a_reader_that_does_not_trust_the_store(store: Store) -> None:
    refs = save_values(store, "fraud", {"model": complex(1, 2)})

    with pytest.raises(ArtifactNotReadable, match=r"'model'.*EVENTFLOW_STORE__ALLOW_PICKLE"):
        load_value(store, "fraud", refs["model"], allow_pickle=False)
    assert load_value(store, "fraud", refs["model"], allow_pickle=True) == complex(1, 2)
