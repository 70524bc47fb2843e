"""Tags of runs, on each backend: changed by many at once, none of it lost, read by two reads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier

import pytest

from eventflow.effects import SystemIds
from eventflow.errors import InvalidTag, ObjectMissing
from eventflow.model.graph import FlowGraph, StepKind, StepNode
from eventflow.model.run import RunRequest
from eventflow.store.layout import RunPlace, run_id_of_index_key, tagged_prefix
from eventflow.store.port import Store
from eventflow.store.runs import RunFile, place_of, write_beginning
from eventflow.store.tags import change_tags, read_tags
from tests.contract.store_doubles import LosesAnswers, NotesReads
from tests.contract.store_fixtures import StorePlace, place, store

__all__ = ["place", "store"]

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
GRAPH = FlowGraph("Train", "t.py", "", (StepNode("start", StepKind.END, (), False, 1),))
IDS = SystemIds()


def _begun(store: Store, run_id: str, *tags: str, minute: int = 0) -> RunPlace:
    request = RunRequest(
        run_id=run_id,
        namespace="fraud/prod",
        flow="Train",
        version=1,
        parameters={},
        causes=(),
        causes_digest=None,
        roots=(),
        hops=0,
        requested_at=AT.replace(minute=minute),
        tags=tags,
        system_tags=("user:ann",),
    )
    write_beginning(store, RunFile(request, GRAPH, ""), ())
    return place_of(request)


def test_a_run_starts_with_the_tags_of_its_request(store: Store) -> None:
    run = _begun(store, "r1", "nightly", "user:ann")

    tags = read_tags(store, run)

    assert tags.user == {"nightly"}
    assert tags.system == {"user:ann", "project:fraud", "project_branch:prod"}
    assert tags.generation == 0


def test_a_change_is_seen_by_who_reads_next(store: Store) -> None:
    run = _begun(store, "r1", "nightly", "old")

    made = change_tags(store, run, IDS, add=["good", "größer", "good"], remove=["old", "no such"])

    assert read_tags(store, run) == made
    assert made.user == {"nightly", "good", "größer"}
    assert "user:ann" in made.system


def test_nothing_is_written_when_nothing_changes(store: Store) -> None:
    run = _begun(store, "r1", "nightly")

    change_tags(store, run, IDS, add=["nightly", "user:ann"], remove=["no such"])

    assert read_tags(store, run).generation == 0
    assert list(store.list(run.tags_prefix)) == []


def test_tags_are_read_by_two_reads_however_often_they_changed(store: Store) -> None:
    run = _begun(store, "r1")
    for number in range(15):
        change_tags(store, run, IDS, add=[f"t{number}"])
    noting = NotesReads(store)

    tags = read_tags(noting, run)

    assert len(tags.user) == 15
    assert len(noting.reads) == 1  # beside the listing


def test_of_many_that_change_at_once_no_change_is_lost(place: StorePlace) -> None:
    stores = [place.open(), LosesAnswers(place.open())]
    run = _begun(stores[0], "r1", "drop-0", "drop-1", "stay")
    together = Barrier(8)

    def change(writer: int) -> None:
        together.wait()
        store = stores[writer % 2]
        change_tags(store, run, IDS, add=[f"a{writer}"], remove=[f"drop-{writer}"])
        change_tags(store, run, IDS, add=[f"b{writer}"])

    with ThreadPoolExecutor(8) as writers:
        list(writers.map(change, range(8)))

    tags = read_tags(stores[0], run)
    assert tags.user == {"stay", *(f"{kind}{writer}" for kind in "ab" for writer in range(8))}
    assert tags.generation == 16


@pytest.mark.parametrize(
    ("add", "remove", "said"),
    [
        ([""], [], "cannot be empty"),
        (["  "], [], "cannot be empty"),
        (["x" * 501], [], "501 characters, 500 are allowed"),
        (["two\nlines"], [], "control characters"),
        (["\ud800"], [], "no Unicode"),
        ([7], [], "a tag is text"),
        ("ab", [], "one tag where several"),
        ([f"t{n}" for n in range(50)], [], "51 tags are more than the 50"),
        ([], ["user:ann"], "'user:ann' is a system tag"),
    ],
)
def test_what_cannot_be_changed_changes_nothing(
    add: list[str], remove: list[str], said: str, store: Store
) -> None:
    run = _begun(store, "r1", "nightly")

    with pytest.raises(InvalidTag, match=said):
        change_tags(store, run, IDS, add=add, remove=remove)

    assert read_tags(store, run).user == {"nightly"}


def test_the_longest_tags_and_as_many_as_may_be_are_kept(store: Store) -> None:
    run = _begun(store, "r1")
    tags = {f"{number:03d}".ljust(500, "€") for number in range(50)}

    change_tags(store, run, IDS, add=sorted(tags))

    assert read_tags(store, run).user == tags


def test_a_run_that_is_not_there_has_no_tags_to_change(store: Store) -> None:
    with pytest.raises(ObjectMissing):
        change_tags(store, RunPlace("fraud/prod", "Train", "r1"), IDS, add=["good"])


def test_runs_are_listed_by_a_tag_latest_first_though_it_came_later(store: Store) -> None:
    first, second, third = (_begun(store, f"r{n}", minute=n) for n in (1, 2, 3))
    change_tags(store, third, IDS, add=["good"])
    change_tags(store, first, IDS, add=["good"])
    change_tags(store, second, IDS, add=["bad"])

    listed = store.list(tagged_prefix("fraud/prod", "Train", "good"))
    found = [run_id_of_index_key(each.key) for each in listed]

    assert found == ["r3", "r1"]
