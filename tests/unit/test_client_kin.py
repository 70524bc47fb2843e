"""What the client knows around a thing: what it is part of, what led to it, what came of it."""

from __future__ import annotations

import io
import pickle
import tarfile
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from eventflow.client.artifacts import DataArtifact
from eventflow.client.flow import Flow
from eventflow.client.metaflow import Metaflow, default_metadata, get_metadata, metadata
from eventflow.client.run import Run
from eventflow.client.scope import namespace
from eventflow.client.step import Step
from eventflow.client.task import Task
from eventflow.client.task_names import are_in_line, index_of
from eventflow.errors import Ambiguous, NotFound
from eventflow.model.completion import Outcome
from eventflow.model.graph import FlowGraph, StepKind, StepNode
from eventflow.model.task import TaskKey
from eventflow.store.blobs import put_blob
from eventflow.store.failures import write_failure
from eventflow.store.line_times import time_of_ms
from eventflow.store.live_output import Portion
from eventflow.store.runs import place_of

if TYPE_CHECKING:
    from eventflow.context import World
    from eventflow.model.run import RunRequest
    from tests.support.stored import History


def _node(name: str, kind: StepKind, *then: str, is_join: bool = False) -> StepNode:
    return StepNode(name, kind, then, is_join, 1)


FANS_OUT = FlowGraph(
    "Train",
    "flow.py",
    "",
    (
        _node("start", StepKind.FOREACH, "train"),
        _node("train", StepKind.LINEAR, "check"),
        _node("check", StepKind.LINEAR, "end"),
        _node("end", StepKind.END, is_join=True),
    ),
)
GANG = FlowGraph(
    "Train",
    "flow.py",
    "",
    (
        _node("begin", StepKind.PARALLEL, "work"),
        _node("work", StepKind.LINEAR, "finish"),
        _node("finish", StepKind.END, is_join=True),
    ),
    start="begin",
    end="finish",
)


@pytest.fixture
def fanned(history: History) -> RunRequest:
    """A run of twelve items, of which all have ended."""
    run = history.begin(graph=FANS_OUT)
    start = history.task(run, "start")
    trained = [history.task(run, "train", task=f"0-{n}", inputs=[start]) for n in range(12)]
    checked = [history.task(run, "check", task=f"0-{n}", inputs=[trained[n]]) for n in range(12)]
    history.end(run, start, *trained, *checked, history.task(run, "end", inputs=checked, best=7))
    return run


def test_each_thing_is_part_of_the_next_up_to_the_flow(history: History) -> None:
    run = history.succeeded(model=1)
    artifact = DataArtifact(f"Train/{run.run_id}/end/0/model")
    task = artifact.parent

    assert task == Task(f"Train/{run.run_id}/end/0")
    assert task.parent == Step(f"Train/{run.run_id}/end")
    assert task.parent.parent == Run(f"Train/{run.run_id}")
    assert task.parent.parent.parent == Flow("shop/prod/Train")
    assert artifact.path_components == ["Train", run.run_id, "end", "0", "model"]
    assert artifact.created_at == artifact.finished_at == run.requested_at + timedelta(seconds=5)


def test_a_thing_says_whether_the_client_looks_where_it_is(history: History) -> None:
    run = Run.at(place_of(history.begin(namespace="shop/prod")))

    seen = {}
    for scope in (None, "shop/prod", "shop", "bank", "shop/test.b"):
        namespace(scope)
        seen[scope] = (run.is_in_namespace(), Flow("shop/prod/Train").is_in_namespace())

    assert seen == {
        None: (True, True),
        "shop/prod": (True, True),
        "shop": (True, True),
        "bank": (False, False),
        "shop/test.b": (False, False),
    }


def test_tasks_of_a_foreach_come_in_the_order_of_their_items(fanned: RunRequest) -> None:
    tasks = list(Step(f"Train/{fanned.run_id}/train"))

    assert [task.id for task in tasks] == [f"0-{n}" for n in range(12)]
    assert [task.index for task in tasks] == list(range(12))
    assert Task(f"Train/{fanned.run_id}/start/0").index is None


def test_a_step_has_its_tasks_by_name(fanned: RunRequest) -> None:
    step = Step(f"Train/{fanned.run_id}/train")

    assert step["0-11"] == Task(f"Train/{fanned.run_id}/train/0-11")
    assert "0-11" in step
    assert "0-12" not in step
    with pytest.raises(KeyError):
        step["0-12"]


def test_a_task_knows_what_it_read_from_and_who_read_from_it(fanned: RunRequest) -> None:
    run = f"Train/{fanned.run_id}"
    third = Task(f"{run}/train/0-3")

    assert list(third.parent_task_pathspecs) == [f"{run}/start/0"]
    assert list(third.child_tasks) == [Task(f"{run}/check/0-3")]
    assert len(list(Task(f"{run}/start/0").child_tasks)) == 12
    assert [task.id for task in Task(f"{run}/end/0").parent_tasks] == [f"0-{n}" for n in range(12)]
    assert list(Task(f"{run}/check/0-11").child_task_pathspecs) == [f"{run}/end/0"]
    assert list(Task(f"{run}/end/0").child_tasks) == []


def test_of_ten_thousand_tasks_only_those_are_read_that_can_be_children(
    fanned: RunRequest, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, seen, get = Task(f"Train/{fanned.run_id}/train/0-3"), [], world.store.get

    def counted(key: str) -> bytes:
        seen.append(key)
        return get(key)

    monkeypatch.setattr(world.store, "get", counted)
    children = list(task.child_tasks)

    assert len(children) == 1
    assert len([key for key in seen if key.endswith("artifacts.json")]) == 1


def test_an_attempt_that_read_from_another_attempt_is_no_child_of_this_one(
    history: History,
) -> None:
    run = history.begin()
    first, second = (history.task(run, "start", epoch=epoch) for epoch in (1, 2))
    history.end(run, second, history.task(run, "end", inputs=[first]))

    assert list(Task(f"Train/{run.run_id}/start/0").child_tasks) == []


def test_steps_lead_to_steps(fanned: RunRequest) -> None:
    run = Run(f"Train/{fanned.run_id}")

    assert [step.id for step in run["check"].parent_steps] == ["train"]
    assert [step.id for step in run["check"].child_steps] == ["end"]
    assert list(run["start"].parent_steps) == []
    assert run["train"].created_at == fanned.requested_at
    assert run["train"].finished_at == fanned.requested_at + timedelta(seconds=5)


def test_a_step_that_no_task_has_come_to_is_no_child(history: History) -> None:
    run = history.begin()
    history.task(run, "start")

    assert list(Step(f"Train/{run.run_id}/start").child_steps) == []


def test_a_gang_has_a_leading_task_and_other_steps_have_none(history: History) -> None:
    run = history.begin(graph=GANG)
    begin = history.task(run, "begin")
    for number in range(3):
        history.task(run, "work", task=f"0-{number}", inputs=[begin])

    step = Step(f"Train/{run.run_id}/work")

    assert step.control_task == step["0-0"]
    assert list(step.control_tasks()) == [step["0-0"]]
    assert Step(f"Train/{run.run_id}/begin").control_task is None


def test_the_last_step_gives_the_results_whatever_its_name(history: History) -> None:
    run = history.begin(graph=GANG)
    history.end(run, history.task(run, "finish", best=3))

    found = Run(f"Train/{run.run_id}")

    assert found.end_task == Task(f"Train/{run.run_id}/finish/0")
    assert found.data.best == 3


def test_a_failed_task_says_why(history: History) -> None:
    run = history.begin()
    key, place = TaskKey(1, "start"), place_of(run)
    history.output(run, key, "stderr", "Traceback\n")
    write_failure(history.world.store, place, key, reason="ValueError: x", traceback="Traceback…")
    history.end(run, outcome=Outcome.FAILED)

    task = Task(f"Train/{run.run_id}/start/0")

    assert task.exception is not None
    assert (task.exception.reason, task.exception.traceback) == ("ValueError: x", "Traceback…")
    assert task.metadata_dict == {
        "attempt": "0",
        "epoch": "1",
        "attempt_ok": "False",
        "namespace": "shop/prod",
    }
    with pytest.raises(NotFound, match="has not succeeded"):
        list(task.parent_tasks)


def test_other_attempts_of_a_task_can_be_asked(history: History) -> None:
    run = history.begin()
    place, first = place_of(run), TaskKey(1, "start")
    write_failure(history.world.store, place, first, reason="ValueError: x", traceback="")
    history.task(run, "start", attempt=1)
    pathspec = f"Train/{run.run_id}/start/0"

    assert (Task(pathspec).current_attempt, Task(pathspec).exception) == (1, None)
    assert str(Task(pathspec, attempt=0).exception) == "ValueError: x"
    with pytest.raises(NotFound, match="no attempt 2 that has ended; it has: 0, 1"):
        Task(pathspec, attempt=2)


def test_what_a_task_printed_is_read_by_lines_and_measured_unread(history: History) -> None:
    run = history.begin()
    key = history.task(run, "start")
    history.output(run, key, "stdout", "größer\nand more\n")

    task = Task(f"Train/{run.run_id}/start/0")

    at = task.finished_at
    assert list(task.loglines("stdout")) == [(at, "größer"), (at, "and more")]
    assert list(task.loglines("stdout", as_unicode=False))[1] == (at, b"and more")
    assert list(task.loglines("stderr")) == []
    assert (task.stdout_size, task.stderr_size) == (len("größer\nand more\n".encode()), 0)
    with pytest.raises(NotFound, match="it has: stdout, stderr"):
        list(task.loglines("stdin"))


def test_a_task_at_work_has_what_it_printed_so_far(history: History) -> None:
    run = history.begin()
    key = TaskKey(1, "start", attempt=1)
    history.so_far(run, key, 0, stdout=Portion(0, b"one\ntw", ((6, 1000),)))
    history.so_far(run, key, 1, stdout=Portion(6, b"o\n", ((8, 2000),)), stderr=Portion(0, b"!"))

    task = Task(f"Train/{run.run_id}/start/0")

    assert (task.current_attempt, task.finished, task.successful) == (1, False, False)
    assert (task.stdout, task.stderr, task.stdout_size) == ("one\ntwo\n", "!", 0)
    assert list(task.loglines("stdout")) == [(time_of_ms(1000), "one"), (time_of_ms(2000), "two")]
    assert task.exception is None
    assert Task(f"Train/{run.run_id}/start/0", attempt=1) == task


def test_a_task_that_was_lost_with_its_processes_has_its_pieces_and_says_so(
    history: History,
) -> None:
    run = history.begin()
    history.so_far(run, TaskKey(1, "start"), 0, stdout=Portion(0, b"last words"))
    history.end(run, outcome=Outcome.CANCELLED, reason="by ann")

    task = Task(f"Train/{run.run_id}/start/0")

    assert task.stdout == "last words"
    assert str(task.exception) == (
        "it was lost with its processes, before it could say why; of the run: by ann"
    )


def test_pieces_beside_kept_output_are_not_looked_at(history: History) -> None:
    run = history.begin()
    key = history.task(run, "start")
    history.so_far(run, key, 0, stdout=Portion(0, b"left by a dead scribe"))

    task = Task(f"Train/{run.run_id}/start/0")

    assert (task.stdout, list(task.loglines("stdout"))) == ("", [])


def test_what_a_resumed_run_took_over_says_from_where(history: History) -> None:
    first = history.begin(namespace="shop/prod")
    history.output(first, history.task(first, "start", attempt=2), "stdout", "trained\n")
    again = history.begin(namespace="shop/user.ann", origin=first.run_id)
    history.task(again, "start", origin=first.run_id, model=1)
    history.task(again, "end")

    run = Run(f"shop/user.ann/Train/{again.run_id}")
    cloned, new = run["start"].task, run["end"].task

    assert run.origin_pathspec == f"Train/{first.run_id}"
    assert run["start"].origin_pathspec == f"Train/{first.run_id}/start"
    assert cloned.origin_pathspec == f"Train/{first.run_id}/start/0"
    assert cloned["model"].origin_pathspec == f"Train/{first.run_id}/start/0/model"
    assert (cloned.stdout, cloned.stdout_size) == ("trained\n", 8)
    assert (new.origin_pathspec, new.stdout, new.stdout_size) == (None, "", 0)
    assert Run(f"shop/prod/Train/{first.run_id}").origin_pathspec is None


def test_the_facts_of_a_task_have_names(history: History) -> None:
    run = history.begin(version=3)
    history.task(run, "start")

    task = Task(f"Train/{run.run_id}/start/0")

    assert task.metadata_dict["finished_at"] == (task.finished_at or run.requested_at).isoformat()
    assert task.metadata[0].name == "attempt"
    assert task.metadata[0].task == task.pathspec
    assert task.metadata[0].created_at == task.finished_at
    assert task.runtime_name == "eventflow"
    assert task.environment_info["python_version"] == "3.14.1"
    assert task.environment_info["script"] == "flow.py"


def test_the_code_of_a_run_is_read_and_unpacked(history: History) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("flow.py")
        entry.size = len(b"x = 1\n")
        archive.addfile(entry, io.BytesIO(b"x = 1\n"))
    digest = put_blob(history.world.store, "shop", buffer.getvalue())
    run = history.begin(code_digest=digest)
    history.task(run, "start")

    code = Run(f"Train/{run.run_id}").code

    assert code is not None
    assert (code.script_name, code.flowspec) == ("flow.py", "x = 1\n")
    assert code.info["digest"] == digest
    with code.extract() as folder:
        assert (Path(folder) / "flow.py").read_text() == "x = 1\n"
    assert Task(f"Train/{run.run_id}/start/0").code == code


def test_a_run_by_hand_has_no_code_package(history: History) -> None:
    run = history.begin(version=0)

    assert Run(f"Train/{run.run_id}").code is None


def test_a_flow_has_runs_by_id_and_the_time_of_its_first(history: History) -> None:
    run = history.begin()
    flow = Flow("Train")

    assert run.run_id in flow
    assert run.run_id[:6] in flow
    assert "rzzzzzzzz" not in flow
    assert flow.created_at is not None
    assert flow.path_components == ["Train"]


def test_all_flows_are_listed_where_the_client_looks(history: History) -> None:
    history.begin("Train", "shop/prod")
    history.begin("Train", "bank/prod")
    history.begin("Predict", "shop/prod")

    everywhere = [(flow.id, flow.namespaces) for flow in Metaflow()]
    namespace("bank")
    in_bank = Metaflow().flows

    assert everywhere == [("Predict", ("shop/prod",)), ("Train", ("bank/prod", "shop/prod"))]
    assert in_bank == [Flow("bank/prod/Train")]
    assert "Train" in Metaflow()
    assert "Predict" not in Metaflow()
    assert Metaflow()["Train"] == Flow("bank/prod/Train")


def test_a_flow_of_several_namespaces_is_ambiguous_among_all_flows_too(history: History) -> None:
    history.begin("Train", "shop/prod")
    history.begin("Train", "bank/prod")

    with pytest.raises(Ambiguous):
        Metaflow()["Train"]


def test_there_is_one_place_of_metadata_and_asking_for_another_warns(world: World) -> None:
    here = f"eventflow@{world.store.url}"

    assert [get_metadata(), default_metadata(), metadata(here)] == [here] * 3
    with pytest.warns(UserWarning, match="EVENTFLOW_STORE__URL"):
        assert metadata("local@/elsewhere") == here


def test_everything_can_be_pickled(fanned: RunRequest) -> None:
    run = Run(f"Train/{fanned.run_id}")
    things = [run, run["end"], run["end"].task, run["end"].task["best"], run["end"].task.metadata]

    assert pickle.loads(pickle.dumps(things)) == things


@pytest.mark.parametrize(
    ("task", "index"), [("0", None), ("0.2", None), ("0-3", 3), ("0-3-1", 1), ("0-3.2", 3)]
)
def test_the_name_of_a_task_says_which_item_it_is_for(task: str, index: int | None) -> None:
    assert index_of(task) == index


@pytest.mark.parametrize(
    ("one", "other", "are"),
    [
        ("0", "0-3", True),
        ("0-3", "0", True),
        ("0-3", "0-3.1", True),
        ("0-3.1", "0-3-2", True),
        ("0.1", "0", True),
        ("0-3", "0-30", False),
        ("0-3-1", "0-4-1", False),
    ],
)
def test_tasks_of_different_items_do_not_lead_to_one_another(
    one: str, other: str, are: bool
) -> None:
    assert are_in_line(one, other) is are
