"""Tags through the client: hung on a run, taken away, and found by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eventflow.client.artifacts import DataArtifact
from eventflow.client.flow import Flow
from eventflow.client.run import Run
from eventflow.client.scope import namespace
from eventflow.client.step import Step
from eventflow.client.task import Task
from eventflow.errors import InvalidTag
from eventflow.store.runs import place_of

if TYPE_CHECKING:
    from tests.support.stored import History

SYSTEM = {"user:ann", "python_version:3.14.1", "project:shop", "project_branch:prod"}


def _run(history: History, *tags: str, home: str = "shop/prod") -> Run:
    return Run.at(place_of(history.begin(namespace=home, tags=tags)))


def test_a_run_has_its_own_tags_and_those_that_say_where_it_comes_from(history: History) -> None:
    run = _run(history, "nightly")

    assert run.user_tags == {"nightly"}
    assert run.system_tags == SYSTEM
    assert run.tags == {"nightly", *SYSTEM}


def test_tags_are_hung_on_a_run_and_taken_away(history: History) -> None:
    run = _run(history, "nightly")

    run.add_tag("a")
    run.add_tags(["b", "c", "a"])
    run.remove_tag("nightly")
    run.remove_tags({"c", "no such"})
    run.replace_tag("a", "z")
    run.replace_tags(["b"], ["b", "y"])

    assert run.user_tags == {"b", "y", "z"}
    assert run.system_tags == SYSTEM


def test_what_lies_below_a_run_has_its_tags(history: History) -> None:
    request = history.succeeded(model=1)
    Run(f"Train/{request.run_id}").add_tag("good")
    below = f"Train/{request.run_id}/end"

    named = [Step(below), Task(f"{below}/0"), DataArtifact(f"{below}/0/model")]

    assert [each.user_tags for each in named] == [{"good"}] * 3


def test_a_system_tag_is_neither_removed_nor_doubled(history: History) -> None:
    run = _run(history)

    run.add_tag("user:ann")
    with pytest.raises(InvalidTag, match="'project:shop' is a system tag"):
        run.replace_tag("project:shop", "other")

    assert run.user_tags == set()


def test_one_text_where_several_tags_are_asked_for_is_refused(history: History) -> None:
    run = _run(history)

    with pytest.raises(InvalidTag, match=r"write \['good'\]"):
        run.add_tags("good")

    assert run.user_tags == set()


def test_runs_are_found_by_their_tags_latest_first(history: History) -> None:
    first, second, third = _run(history, "a"), _run(history, "a", "b"), _run(history, "a")
    first.add_tag("b")
    third.remove_tag("a")

    flow = Flow("Train")

    assert list(flow.runs("a")) == [second, first]
    assert list(flow.runs("a", "b")) == [second, first]
    assert list(flow.runs("b", "user:ann")) == [second, first]
    assert list(flow.runs("user:ann")) == [third, second, first]
    assert list(flow.runs("user:bob")) == []
    assert list(flow.runs("c")) == []


def test_runs_of_several_namespaces_are_found_by_a_tag_in_the_order_of_time(
    history: History,
) -> None:
    runs = [_run(history, "a", home=home) for home in ("shop/prod", "bank/prod", "shop/test.b")]
    namespace(None)

    found = list(Flow("Train").runs("a"))

    assert found == runs[::-1]
    assert list(Flow("Train").runs("a", "project:shop")) == [runs[2], runs[0]]


def test_a_user_tag_that_looks_like_a_system_tag_is_found_all_the_same(history: History) -> None:
    run, _ = _run(history), _run(history)
    run.add_tag("user:bob")

    assert list(Flow("Train").runs("user:bob")) == [run]


def test_only_runs_that_have_or_had_the_tag_are_looked_at(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    rare = _run(history, "rare")
    for _ in range(30):
        _run(history, "common")
    store, seen = history.world.store, []
    get = store.get

    def counted(key: str) -> bytes:
        seen.append(key)
        return get(key)

    monkeypatch.setattr(store, "get", counted)
    found = list(Flow("Train").runs("rare", "user:ann"))

    assert found == [rare]
    assert len(seen) == 1


def test_an_entry_of_a_tag_without_its_run_is_left_out(history: History) -> None:
    whole, torn = _run(history, "a"), history.begin(tags=["a"])
    history.world.store.delete([place_of(torn).run])

    assert list(Flow("Train").runs("a")) == [whole]


def test_what_cannot_be_a_tag_is_not_looked_for(history: History) -> None:
    _run(history)

    with pytest.raises(InvalidTag, match="cannot be empty"):
        Flow("Train").runs("")
