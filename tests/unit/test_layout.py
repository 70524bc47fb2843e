"""Where everything lies in the store: keys that sort, fit and are found again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventflow.errors import InvalidName
from eventflow.model.offset import Offset
from eventflow.model.task import TaskKey
from eventflow.store.keys import check_key, check_prefix
from eventflow.store.layout import (
    RunPlace,
    blob_key,
    flow_index_prefix,
    flow_key,
    flow_of_key,
    index_key,
    lineage_key,
    lineage_prefix,
    lineage_prefixes,
    may_be_of,
    probe_key,
    run_id_of_index_key,
    run_of_lineage_key,
)

PLACE = RunPlace("fraud/prod.b", "TrainFlow", "rabcdefghij")
ORIGIN = Offset("eventflow.events", "topic-id", 7, 123_456)
TIMES = st.integers(0, 7_000_000_000_000_000).map(
    lambda us: datetime(1990, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
)


def test_a_run_lies_below_its_project_and_branch() -> None:
    root = "projects/fraud/prod.b/TrainFlow/runs/rabcdefghij/"

    assert PLACE.root == root
    assert PLACE.run == f"{root}run.json"
    assert PLACE.end == f"{root}end.json"
    assert PLACE.epoch(2) == f"{root}e2/"
    assert PLACE.attempt(2, "train", "0-3", 1) == f"{root}e2/train/0-3/1/"
    assert PLACE.artifacts(TaskKey(2, "train", "0-3", 1)) == f"{root}e2/train/0-3/1/artifacts.json"
    assert PLACE.alive(12) == f"{root}e1/alive/0000000012"


def test_what_a_run_caused_is_found_below_it() -> None:
    key = PLACE.downstream("other/user.ann", "PredictFlow", "rxyz")

    assert key == f"{PLACE.downstream_prefix}other~user.ann/PredictFlow/rxyz"
    assert key.startswith(PLACE.root)


def test_a_blob_lies_below_its_project_in_one_of_256_folders() -> None:
    digest = "ab" + "0" * 62

    assert blob_key("fraud", digest) == f"projects/fraud/blobs/ab/sha256-{digest}"


def test_a_flow_is_found_by_its_name_in_any_namespace() -> None:
    key = flow_key("fraud/prod.b", "TrainFlow")

    namespace, flow = flow_of_key(key)

    assert key == "flows/TrainFlow/fraud~prod.b"
    assert (str(namespace), flow) == ("fraud/prod.b", "TrainFlow")


def test_offsets_of_one_block_share_a_folder_and_sort_by_number() -> None:
    blocks = [
        lineage_prefix(Offset("events", "id", 0, offset)) for offset in (0, 999, 1000, 10**15)
    ]

    assert blocks[0] == blocks[1] == "lineage/events.id/0/00000000000000000000/"
    assert blocks == sorted(blocks)
    assert len(set(blocks)) == 3


def test_the_lineage_of_a_run_names_it_and_its_flow() -> None:
    key = lineage_key([ORIGIN], "fraud/prod", "TrainFlow", "rabc")

    block = "lineage/eventflow.events.topic-id/7/00000000000000000123"
    assert key == f"{block}/456~rabc~fraud~prod~TrainFlow"
    assert run_of_lineage_key(key) == RunPlace("fraud/prod", "TrainFlow", "rabc")


@given(st.sets(st.integers(0, 999), min_size=1), st.integers(0, 999))
def test_an_entry_is_listed_for_each_of_its_offsets_and_for_none_outside(
    offsets: set[int], asked: int
) -> None:
    origins = [replace(ORIGIN, offset=5000 + each) for each in offsets]
    key = lineage_key(origins, "fraud/prod", "TrainFlow", "rabc")

    prefixes = lineage_prefixes(replace(ORIGIN, offset=5000 + asked))
    is_listed = key.startswith(prefixes) and may_be_of(key, 5000 + asked)

    assert is_listed == (min(offsets) <= asked <= max(offsets))
    assert run_of_lineage_key(key) == RunPlace("fraud/prod", "TrainFlow", "rabc")


@given(st.lists(TIMES, min_size=2, max_size=20))
def test_the_first_entry_of_an_index_is_the_latest_run(times: list[datetime]) -> None:
    latest_first = sorted(times, reverse=True)

    keys = [index_key("fraud/prod", "F", "rabc", at) for at in latest_first]

    assert all(newer <= older for newer, older in pairwise(keys))


@given(TIMES)
def test_runs_a_millisecond_apart_are_told_apart(at: datetime) -> None:
    older = index_key("fraud/prod", "F", "rabc", at)
    newer = index_key("fraud/prod", "F", "rabc", at + timedelta(milliseconds=1))

    assert newer < older


@given(TIMES)
def test_an_index_entry_has_a_fixed_shape_and_names_its_run(at: datetime) -> None:
    key = index_key("fraud/prod", "TrainFlow", "rabc", at)

    prefix = flow_index_prefix("fraud/prod", "TrainFlow")
    assert key.startswith(prefix)
    assert [len(part) for part in key.removeprefix(prefix).split("/")] == [6, 2, 13 + 1 + 4]
    assert run_id_of_index_key(key) == "rabc"


def test_successful_runs_have_an_index_of_their_own() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    key = index_key("fraud/prod", "F", "rabc", at, successful=True)

    assert key.startswith(flow_index_prefix("fraud/prod", "F", successful=True))
    assert key.replace("/successful/", "/index/") == index_key("fraud/prod", "F", "rabc", at)


def test_every_key_can_be_the_key_of_an_object() -> None:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    keys = [
        PLACE.run,
        PLACE.end,
        PLACE.artifacts(TaskKey(1, "start")),
        PLACE.alive(1),
        PLACE.downstream("other/prod", "F", "rabc"),
        blob_key("fraud", "0" * 64),
        flow_key("fraud/prod", "F"),
        index_key("fraud/prod", "F", "rabc", at),
        lineage_key([ORIGIN], "fraud/prod", "F", "rabc"),
        probe_key("token"),
    ]

    assert [check_key(key) for key in keys] == keys
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("", "part ''"),
        ("/a", "part ''"),
        ("a/", "part ''"),
        ("a//b", "part ''"),
        ("a/../b", r"part '\.\.'"),
        ("./a", r"part '\.'"),
        (".tmp/a", "taken"),
        ("a\x1fb", "control"),
        ("a\x7f", "control"),
        ("\udcff", "Unicode"),
        ("é" * 128, "longer than 255 bytes"),
        ("é/" * 450 + "a", "longer than 900 bytes"),
    ],
    ids=ascii,
)
def test_what_cannot_be_a_key_is_refused_with_the_reason(key: str, reason: str) -> None:
    with pytest.raises(InvalidName, match=reason):
        check_key(key)


@pytest.mark.parametrize("key", ["a", ".a", "..a", "a..", "...", "a/.tmp", "x" * 255, "é 😀/~"])
def test_odd_names_that_lead_nowhere_else_are_keys(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize("prefix", ["", "a", "a/", "a/b", "a/.", "a/..", ".t"])
def test_a_prefix_may_end_anywhere(prefix: str) -> None:
    assert check_prefix(prefix) == prefix


def test_data_of_a_run_is_below_a_first_part_that_no_other_key_has() -> None:
    run = RunPlace("shop/prod", "TrainFlow", "r1")
    others = (
        *(run.root, blob_key("shop", "ab"), flow_key("shop/prod", "TrainFlow"), probe_key("t")),
        flow_index_prefix("shop/prod", "TrainFlow"),
        lineage_prefix(Offset("events", "id", 0, 0)),
    )

    assert run.data == "data/shop/prod/TrainFlow/r1"
    assert not any(key.startswith("data/") for key in others)
