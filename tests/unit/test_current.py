"""`current`: what a step can know of its run; nothing outside of one."""

from __future__ import annotations

from getpass import getuser
from typing import TYPE_CHECKING

import pytest

from eventflow.authoring.current import current, running
from eventflow.authoring.flow_spec import FlowSpec
from eventflow.authoring.parameter import Parameter
from eventflow.client.scope import get_namespace
from eventflow.codec.causes import write_causes
from eventflow.store.blobs import put_blob
from tests.support.stored import AT, event, plan

if TYPE_CHECKING:
    from eventflow.context import World
    from tests.support.stored import History


class Train(FlowSpec):
    rate = Parameter("learning-rate", default=0.5)


FLOW = Train(use_cli=False)


def test_outside_of_a_task_there_is_nothing() -> None:
    seen = (current.is_running_flow, current.run_id, current.namespace, current.trigger)

    assert seen == (False, None, None, None)
    assert current.get("run_id", "none") == "none"
    assert "run_id" not in current


def test_inside_a_task_it_knows_the_task() -> None:
    task = plan("shop/test.b", attempt=2)
    run_id = task.run.request.run_id

    with running(task, FLOW):
        seen = {
            name: current.get(name)
            for name in ("flow_name", "run_id", "step_name", "task_id", "retry_count", "pathspec")
        }
        names = current.parameter_names

    assert seen == {
        "flow_name": "Train",
        "run_id": run_id,
        "step_name": "train",
        "task_id": "0",
        "retry_count": 2,
        "pathspec": f"Train/{run_id}/train/0",
    }
    assert names == ["learning-rate"]
    assert not current.is_running_flow


def test_inside_a_task_it_knows_the_tags_of_the_start_and_what_is_resumed() -> None:
    task = plan("shop/test.b", tags=("nightly",), system_tags=("user:ann",), origin="rabc")

    with running(task, FLOW):
        tags, origin = current.tags, current.origin_run_id

    assert set(tags or ()) == {"nightly", "user:ann", "project:shop", "project_branch:test.b"}
    assert origin == "rabc"
    assert [current.get(name) for name in ("tags", "origin_run_id")] == [None, None]


@pytest.mark.parametrize(
    ("namespace", "username", "is_production", "is_user_branch"),
    [
        ("shop/user.ann", "ann", False, True),
        ("shop/prod", getuser(), True, False),
        ("shop/prod.b", getuser(), True, False),
        ("default/test.b", getuser(), False, False),
    ],
)
def test_the_namespace_says_project_and_branch(
    namespace: str, username: str, is_production: bool, is_user_branch: bool
) -> None:
    with running(plan(namespace), FLOW):
        seen = (current.namespace, f"{current.project_name}/{current.branch_name}")
        full_name = current.project_flow_name
        who = (current.username, current.is_production, current.is_user_branch)

    assert seen == (namespace, namespace)
    assert full_name == namespace.replace("/", ".") + ".Train"
    assert who == (username, is_production, is_user_branch)


def test_the_client_looks_from_the_namespace_of_the_flow(world: World) -> None:
    with running(plan("shop/test.b"), FLOW):
        inside = get_namespace()

    assert (inside, get_namespace()) == ("shop/test.b", None)


def test_a_name_that_it_does_not_have_is_got_as_the_default() -> None:
    with running(plan("shop/prod"), FLOW):
        odd = [current.get(name, "default") for name in ("nothing", "get", "_running")]

    assert odd == ["default"] * 3


def test_without_causes_nothing_triggered_the_run(world: World) -> None:
    with running(plan("shop/prod"), FLOW):
        seen = (current.trigger, "trigger" in current)

    assert seen == (None, False)


def test_the_trigger_has_payloads_offsets_and_times_oldest_first(world: World) -> None:
    causes = (event("a", 1, b'{"n":1,"at":{"$timestamp":"2026-01-31T06:00:00Z"}}'), event("b", 2))

    with running(plan("shop/prod", causes=causes), FLOW):
        trigger = current.trigger

    assert trigger is not None
    first, last = trigger.events
    assert first.payload == {"n": 1, "at": AT}
    assert (first.name, first.id, first.type) == ("a", "id-1", "event")
    assert (first.namespace, first.offset) == ("shop/*", "eventflow.events/0/1")
    assert trigger.event == last
    assert (trigger["a"], [each.name for each in trigger]) == (first, ["a", "b"])
    assert ("a" in trigger, "c" in trigger, len(trigger)) == (True, False, 2)
    assert (trigger.run, trigger.runs) == (None, [])
    with pytest.raises(KeyError):
        trigger["c"]


def test_of_several_events_of_one_name_the_index_gives_the_latest(world: World) -> None:
    causes = (event("a", 1, b'{"n":1}'), event("a", 2, b'{"n":2}'))

    with running(plan("shop/prod", causes=causes), FLOW):
        assert current.trigger is not None
        latest = current.trigger["a"]

    assert latest.payload == {"n": 2}  # type: ignore[union-attr]


def test_the_results_of_the_run_that_triggered_it_are_at_hand(history: History) -> None:
    upstream = history.succeeded("Train", "shop/prod", model=[1, 2])
    cause = history.completion(upstream, 9)

    with running(plan("shop/prod", causes=(cause,)), FLOW):
        trigger = current.trigger
        assert trigger is not None
        assert trigger.run is not None
        seen = (trigger.run.id, trigger.run.data.model, trigger.event.type)

    assert seen == (upstream.run_id, [1, 2], "run")
    assert trigger["Train"] == trigger.run
    assert trigger.event.payload == {"flow": "Train"}


def test_causes_too_large_for_the_request_are_read_from_their_blob(world: World) -> None:
    causes = (event("a", 1, b'{"n":1}'), event("b", 2))
    digest = put_blob(world.store, "shop", write_causes(causes))

    with running(plan("shop/prod", causes_digest=digest), FLOW):
        trigger = current.trigger

    assert trigger is not None
    assert [each.offset for each in trigger] == ["eventflow.events/0/1", "eventflow.events/0/2"]
