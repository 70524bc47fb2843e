"""The client sees what stands in the store, where it looks and nowhere else."""

from __future__ import annotations

import os
import pickle
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from eventflow.client.artifacts import DataArtifact
from eventflow.client.flow import Flow
from eventflow.client.run import Run
from eventflow.client.scope import (
    default_namespace,
    get_namespace,
    locate_flow,
    looking_from,
    namespace,
)
from eventflow.client.step import Step
from eventflow.client.task import Task
from eventflow.errors import Ambiguous, ArtifactMissing, InvalidName, NotFound
from eventflow.model.completion import Outcome
from eventflow.model.run import RunState
from eventflow.store.runs import place_of
from tests.support.stored import AT, due, event

if TYPE_CHECKING:
    from eventflow.context import World
    from tests.support.stored import History, SetClock

ENDS = (
    (Outcome.SUCCEEDED, RunState.SUCCEEDED),
    (Outcome.FAILED, RunState.FAILED),
    (Outcome.CANCELLED, RunState.CANCELLED),
)


def test_runs_come_latest_first(history: History) -> None:
    requests = [history.begin(), history.begin(), history.begin()]

    runs = [run.id for run in Flow("Train").runs()]

    assert runs == [request.run_id for request in reversed(requests)]


def test_the_latest_successful_run_is_not_the_latest_run(history: History) -> None:
    good = history.succeeded(model=1)
    running = history.begin()

    flow = Flow("Train")

    assert flow.latest_run == Run(f"Train/{running.run_id}")
    assert flow.latest_successful_run == Run(f"Train/{good.run_id}")


def test_the_latest_run_is_found_by_one_short_listing(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(30):
        history.begin()
    flow, store, seen = Flow("Train"), history.world.store, []
    list_keys = store.list

    def counted(*args: object, **options: object) -> object:
        for each in list_keys(*args, **options):  # type: ignore[arg-type]
            seen.append(each)
            yield each

    monkeypatch.setattr(store, "list", counted)
    latest = flow.latest_run

    assert latest is not None
    assert len(seen) == 1


def test_an_index_entry_without_its_run_is_not_the_latest_run(history: History) -> None:
    whole, torn = history.begin(), history.begin()
    history.world.store.delete([place_of(torn).run])

    latest = Flow("Train").latest_run

    assert latest == Run(f"Train/{whole.run_id}")


def test_results_are_the_artifacts_of_the_end(history: History) -> None:
    run = history.succeeded(model={"weights": [1.5]}, rows=7)

    data = Run(f"Train/{run.run_id}").data

    assert data.model == {"weights": [1.5]}
    assert "rows" in data
    assert not hasattr(data, "nothing")


def test_a_run_that_did_not_succeed_has_no_results(history: History) -> None:
    run = history.begin()

    with pytest.raises(NotFound, match=r"is running.*\['<step>'\]\.task\.data"):
        _ = Run(f"Train/{run.run_id}").data


@pytest.mark.parametrize(("outcome", "state"), ENDS)
def test_a_run_that_ended_says_how(history: History, outcome: Outcome, state: RunState) -> None:
    request = history.begin()
    history.end(request, outcome=outcome, reason="because")

    run = Run(f"Train/{request.run_id}")

    assert (run.state, run.finished, run.successful) == (state, True, outcome == "succeeded")
    assert run.reason == "because"
    assert run.created_at == request.requested_at
    assert run.finished_at == request.requested_at + timedelta(seconds=10)


def test_a_requested_run_without_an_end_is_running_however_long(
    history: History, clock: SetClock
) -> None:
    request = history.begin(version=3)
    clock.at = datetime.now(UTC) + timedelta(days=2)

    run = Run(f"Train/{request.run_id}")

    assert (run.state, run.finished, run.version) == (RunState.RUNNING, False, 3)


def test_a_run_by_hand_lives_while_its_marks_are_fresh(
    history: History, world: World, clock: SetClock
) -> None:
    request = history.begin(version=0)
    run, place = Run(f"Train/{request.run_id}"), place_of(request)
    world.store.put_if_absent(place.alive(0), b"")
    world.store.put_if_absent(place.alive(1), b"")
    _set_time(world, place.run, AT)
    _set_time(world, place.alive(0), AT)
    _set_time(world, place.alive(1), AT + timedelta(seconds=10))

    states = []
    for seconds in (10, 39, 41):
        clock.at = AT + timedelta(seconds=seconds)
        states.append(run.state)

    assert states == [RunState.RUNNING, RunState.RUNNING, RunState.FAILED]
    assert run.reason == "its process stopped"
    assert run.finished_at is None


def test_a_run_by_hand_lives_before_its_first_mark(
    history: History, world: World, clock: SetClock
) -> None:
    request = history.begin(version=0)
    _set_time(world, place_of(request).run, AT)
    run = Run(f"Train/{request.run_id}")

    clock.at = AT + timedelta(seconds=29)
    early = run.state
    clock.at = AT + timedelta(seconds=31)

    assert (early, run.state) == (RunState.RUNNING, RunState.FAILED)


def test_steps_and_tasks_are_those_that_ended(history: History) -> None:
    request = history.begin()
    key = history.task(request, "start", rows=3, _private=1)
    history.output(request, key, "stdout", "hello\n")
    run = Run(f"Train/{request.run_id}")

    steps = [step.id for step in run.steps()]
    task = run["start"].task

    assert steps == ["start"]
    assert (task.id, task.pathspec) == ("0", f"Train/{request.run_id}/start/0")
    assert (task.successful, task.finished) == (True, True)
    assert task.finished_at == request.requested_at + timedelta(seconds=5)
    assert (task.stdout, task.stderr) == ("hello\n", "")
    assert [artifact.id for artifact in task.artifacts] == ["rows"]
    assert task.data._private == 1
    assert list(run["end"].tasks()) == []
    assert "middle" not in run


def test_the_manifest_says_which_attempt_counts(history: History) -> None:
    request = history.begin()
    first = history.task(request, "start", epoch=1, attempt=0, x="counts")
    history.task(request, "start", epoch=2, attempt=1, x="latest")
    run = Run(f"Train/{request.run_id}")

    before = run["start"].task.data.x
    history.end(request, first, outcome=Outcome.FAILED)

    assert (before, run["start"].task.data.x) == ("latest", "counts")


def test_a_failed_task_keeps_its_output_and_has_no_artifacts(history: History) -> None:
    request = history.begin()
    place = place_of(request)
    history.world.store.put_if_absent(place.attempt(1, "start", "0", 2) + "stderr", b"Traceback")
    history.end(request, outcome=Outcome.FAILED)

    task = Task(f"Train/{request.run_id}/start/0")

    assert (task.current_attempt, task.stderr) == (2, "Traceback")
    assert (task.successful, task.finished, task.finished_at) == (False, True, None)
    with pytest.raises(NotFound, match="has not succeeded"):
        _ = task.data


def test_an_artifact_is_named_by_its_whole_path(history: History) -> None:
    run = history.succeeded(model=[1, 2])

    artifact = DataArtifact(f"shop/prod/Train/{run.run_id[:8]}/end/0/model")

    assert artifact.data == [1, 2]
    assert artifact.size == len(b"[1,2]")
    assert len(artifact.sha) == 64
    assert artifact == Run(f"Train/{run.run_id}").end_task["model"]  # type: ignore[index]
    with pytest.raises(ArtifactMissing, match="it has: model"):
        DataArtifact(f"Train/{run.run_id}/end/0/modle")


def test_objects_survive_pickling_as_what_they_name(history: History) -> None:
    run = history.succeeded(model=3)
    flow = Flow("Train")
    named = [flow, flow[run.run_id], Step(f"Train/{run.run_id}/end")]
    named += [Task(f"Train/{run.run_id}/end/0"), DataArtifact(f"Train/{run.run_id}/end/0/model")]
    data = flow[run.run_id].data

    again = pickle.loads(pickle.dumps(named))

    assert again == named
    assert again[-1].data == 3
    assert pickle.loads(pickle.dumps(data)).model == 3
    assert len(pickle.dumps(named[1])) < 300


def test_six_characters_of_an_id_are_enough_when_they_are_unique(history: History) -> None:
    run = history.begin()

    found = Run(f"Train/{run.run_id[:6]}")

    assert found.id == run.run_id
    with pytest.raises(NotFound, match="at least the first 6"):
        Run(f"Train/{run.run_id[:5]}")
    with pytest.raises(NotFound, match="No run of Train"):
        Run("Train/rzzzzzzzz")


def test_an_id_that_fits_several_runs_lists_them(history: History) -> None:
    run = history.begin()
    twin = run.run_id[:8] + "a" * 13
    store = history.world.store
    store.put_if_absent(place_of(run).run.replace(run.run_id, twin), b"{}")

    with pytest.raises(Ambiguous) as caught:
        Run(f"Train/{run.run_id[:7]}")

    assert f"shop/prod/Train/{run.run_id}" in str(caught.value)
    assert f"shop/prod/Train/{twin}" in str(caught.value)


def test_without_a_namespace_a_flow_is_found_where_it_is_the_only_one(history: History) -> None:
    history.begin("Train", "shop/user.ann")

    flow = Flow("Train")

    assert flow.namespaces == ("shop/user.ann",)


def test_without_a_namespace_a_flow_of_several_is_ambiguous(history: History) -> None:
    history.begin("Train", "shop/prod")
    history.begin("Train", "shop/test.b")

    with pytest.raises(Ambiguous, match=r"shop/prod, shop/test\.b.*Flow\('shop/prod/Train'\)"):
        Flow("Train")


def test_a_flow_named_in_full_is_found_from_anywhere(history: History) -> None:
    mine, other = history.begin("Train", "shop/prod"), history.begin("Train", "bank/prod")
    namespace("shop/prod")

    found = Flow("bank/prod/Train").latest_run

    assert found == Run(f"bank/prod/Train/{other.run_id}")
    assert Flow("Train").latest_run == Run(f"Train/{mine.run_id}")


def test_a_namespace_hides_the_others_and_the_error_says_where_to_look(history: History) -> None:
    run = history.begin("Train", "shop/prod")
    namespace("shop/test.b")

    with pytest.raises(NotFound, match="It lives in shop/prod: name one in full"):
        Flow("Train")
    with pytest.raises(NotFound, match="It lives in shop/prod"):
        Run(f"Train/{run.run_id}")


def test_a_project_and_everything_mix_their_runs_by_time(history: History) -> None:
    requests = [history.begin("Train", each) for each in ("shop/prod", "bank/prod", "shop/test.b")]
    first, second, third = (request.run_id for request in requests)

    namespace("shop")
    of_shop = [run.id for run in Flow("Train").runs()]
    namespace(None)
    of_all = [run.id for run in Flow("Train")]

    assert of_shop == [third, first]
    assert of_all == [third, second, first]


def test_inside_a_task_the_namespace_is_the_flow_s_own(history: History) -> None:
    history.begin("Train", "shop/prod")
    history.begin("Train", "shop/test.b")

    with looking_from("shop/test.b"):
        inside = (get_namespace(), Flow("Train").namespaces)

    assert inside == ("shop/test.b", ("shop/test.b",))
    assert get_namespace() is None


def test_the_setting_counts_until_somebody_chooses(
    world: World, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.settings, "namespace", "shop/prod")
    history.begin("Train", "shop/prod")
    history.begin("Train", "bank/prod")

    seen = [get_namespace(), namespace("bank"), get_namespace(), default_namespace()]

    assert seen == ["shop/prod", "bank", "bank", "shop/prod"]
    assert locate_flow("Train") == ("Train", ("shop/prod",))


@pytest.mark.parametrize(
    ("tag", "form"), [("user:ann", "<project>/user.ann"), ("production:x-0", "<project>/prod")]
)
def test_tags_of_metaflow_are_refused_with_the_new_form(tag: str, form: str) -> None:
    with pytest.raises(InvalidName, match=form):
        namespace(tag)


@pytest.mark.parametrize("wrong", ["", "Shop", "shop/Prod", "a/b/c", "shop/", 5])
def test_what_is_no_namespace_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidName):
        namespace(wrong)


def test_what_is_not_in_a_run_is_a_key_error_that_says_what_is(history: History) -> None:
    run = Run(f"Train/{history.succeeded(causes=[event('landed', 1)], rows=7).run_id}")
    step = next(run.steps())
    missing: list[tuple[Any, str, str]] = [
        (run, "nope", f"{run.pathspec} has no step 'nope' that has begun; it has: "),
        (step, "9", f"has no task {step.id}/9"),
        (run.end_task, "nope", "There is no artifact 'nope'; there is: "),
        (run.trigger, "nope", "No event or flow 'nope' triggered the run; it was: landed."),
    ]

    for having, name, said in missing:
        with pytest.raises(KeyError) as caught:
            having[name]
        assert isinstance(caught.value, NotFound)
        assert said in str(caught.value)


@pytest.mark.parametrize("wrong", ["", "Train/", "a/b/Train/x/y", "x/y", 5, None])
def test_what_names_no_flow_is_refused(wrong: Any, world: World) -> None:
    with pytest.raises(InvalidName, match="is written Flow, or project/branch/Flow"):
        Flow(wrong)


def test_a_flow_that_never_ran_is_said_not_to_be_there(world: World) -> None:
    with pytest.raises(NotFound, match="No flow Train has run yet"):
        Flow("Train")


def test_a_run_says_what_triggered_it(history: History) -> None:
    upstream = history.succeeded("Train", model=5)
    started = history.succeeded(
        "Predict",
        causes=[event("data_updated", 1, b'{"rows":7}'), history.completion(upstream, 2)],
    )

    trigger = Run(f"Predict/{started.run_id}").trigger

    assert trigger is not None
    assert [(each.name, each.type) for each in trigger.events] == [
        ("data_updated", "event"),
        ("Train", "run"),
    ]
    assert trigger["data_updated"].payload == {"rows": 7}  # type: ignore[union-attr]
    assert trigger.run == Run(f"Train/{upstream.run_id}")
    assert trigger.run.data.model == 5
    assert trigger.run.trigger is None


def test_a_run_says_for_which_due_time_it_was_started(history: History) -> None:
    started = history.succeeded("Nightly", causes=[due(AT)])

    trigger = Run(f"Nightly/{started.run_id}").trigger

    assert trigger is not None
    assert (trigger.event.type, trigger.event.name) == ("schedule", "0 9 * * * Asia/Tokyo")
    assert trigger.event.timestamp == AT
    assert trigger.event.payload["skipped"] == 2
    assert (trigger.run, trigger.runs) == (None, [])
    assert "0 9 * * * Asia/Tokyo" in trigger


def _set_time(world: World, key: str, at: datetime) -> None:
    """Set the store's own time of an object."""
    path = world.store.url.removeprefix("file://") + "/" + key
    os.utime(path, (at.timestamp(), at.timestamp()))
