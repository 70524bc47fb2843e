"""Every graph with every feature: what a user of the flow sees of a run, by the client."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable

import pytest

from eventflow.authoring.caught import CaughtFailure
from eventflow.client.flow import Flow
from eventflow.client.task import Task
from eventflow.errors import NotFound
from eventflow.model.run import RunState
from tests.matrix.features import PARAMETERS
from tests.matrix.play import Played, Stage
from tests.matrix.shapes import (
    BRANCH,
    BRANCH_IN_FOREACH,
    FOREACH,
    GANG,
    LOOP,
    LOOP_AROUND_FOREACH,
    NAMED_ENDS,
    NESTED,
    SHAPES,
    SWITCH,
    Shape,
)

CELLS = [
    *(pytest.param("local", shape, id=f"local-{shape.name}") for shape in SHAPES),
    *(
        pytest.param("s3", shape, id=f"s3-{shape.name}", marks=pytest.mark.s3)
        for shape in (BRANCH, NESTED, LOOP_AROUND_FOREACH)
    ),
    *(pytest.param("runner", shape, id=f"runner-{shape.name}") for shape in (SWITCH, NESTED)),
    *(
        pytest.param("deployer", shape, id=f"deployer-{shape.name}")
        for shape in (NAMED_ENDS, GANG, LOOP_AROUND_FOREACH)
    ),
    pytest.param("runner_on_s3", BRANCH_IN_FOREACH, id="runner-on-s3", marks=pytest.mark.s3),
    pytest.param("deployer_on_s3", NESTED, id="deployer-on-s3", marks=pytest.mark.s3),
]
LOCAL = CELLS[: len(SHAPES)]


@pytest.fixture
def played(stage: Stage, shape: Shape) -> Played:
    """The run of a graph that goes through."""
    return stage.finished(shape)


@pytest.fixture
def failed(stage: Stage, shape: Shape) -> Played:
    """The run of a graph whose last task of `work` fails for good."""
    return stage.failed(shape)


@pytest.fixture
def resumed(stage: Stage, shape: Shape) -> Played:
    """The run that goes on from the failed one, after what made it fail is mended."""
    return stage.resumed(shape)


def failed_task(failed: Played) -> str:
    """The id of the task of `work` that the run failed of."""
    said = re.match(r"Step work/([-.0-9]+) failed", failed.run.reason)
    return said[1] if said else "0"


def paths(tasks: Iterable[Task]) -> list[str]:
    """The tasks as `step/task`."""
    return ["/".join(task.path_components[-2:]) for task in tasks]


@pytest.mark.parametrize(("stage", "shape"), CELLS, indirect=["stage"])
class TestFinished:
    def test_the_run_succeeds(self, played: Played) -> None:
        assert played.done.returncode == 0, played.done.stderr
        assert played.run.state is RunState.SUCCEEDED
        assert played.run.reason == ""

    def test_the_tasks_are_those_of_the_graph_in_its_order(
        self, played: Played, shape: Shape
    ) -> None:
        tasks = {step: tuple(played.tasks(step)) for step in shape.tasks}

        assert tasks == shape.tasks

    def test_the_results_of_the_run_are_those_of_its_last_step(
        self, played: Played, shape: Shape
    ) -> None:
        end = played.run.end_task

        assert end is not None
        assert end.pathspec.endswith(f"/{shape.end}/0")
        assert "given" in played.run.data

    def test_joins_take_their_inputs_in_the_order_of_the_graph(
        self, played: Played, shape: Shape
    ) -> None:
        joins = {
            f"{name}/{id_}": t for name in shape.joins for id_, t in played.tasks(name).items()
        }

        steps = {path: [step for step, _ in task.data.order] for path, task in joins.items()}
        ends = {
            path: (task.data.first_by_index, task.data.first_by_name, task.data.last_by_index)
            for path, task in joins.items()
        }

        taken = shape.inputs
        assert steps == {path: [each.split("/")[0] for each in taken[path]] for path in taken}
        assert ends == {path: (taken[path][0], taken[path][0], taken[path][-1]) for path in taken}
        assert [task.data.count for task in joins.values()] == [*map(len, taken.values())]

    def test_results_of_a_fan_out_come_in_the_order_of_its_items(
        self, played: Played, shape: Shape
    ) -> None:
        results = getattr(played.run.data, "results", [])

        if shape.joins:
            assert results == [f"work/{task}" for task in shape.results]
        else:
            assert results[-1] == f"work/{shape.tasks['work'][-1]}"

    def test_a_task_knows_its_levels_of_foreach(self, played: Played, shape: Shape) -> None:
        stacks = {id_: tuple(task.data.stack) for id_, task in played.tasks("work").items()}
        places = {id_: task.data.at for id_, task in played.tasks("work").items()}

        expected = {id_: shape.stacks.get(id_, ()) for id_ in shape.tasks["work"]}
        assert stacks == expected
        assert places == {
            id_: (levels[-1][0], levels[-1][2]) if levels else (None, None)
            for id_, levels in expected.items()
        }

    def test_a_join_is_in_the_levels_around_the_foreach_that_it_joins(
        self, played: Played, shape: Shape
    ) -> None:
        places = {
            f"{step}/{id_}": task.data.around
            for step in shape.joins
            for id_, task in played.tasks(step).items()
        }

        inner = {f"gather/0-{index}": (index, letter) for index, letter in enumerate("abc")}
        assert places == {path: inner.get(path, (None, None)) for path in shape.inputs}

    def test_artifacts_are_inherited_and_what_is_changed_in_place_is_a_new_version(
        self, played: Played, shape: Shape
    ) -> None:
        begun = played.run[shape.start].task
        works = played.tasks("work")

        assert {task.data.read for task in works.values()} == {"begun"}
        assert [task.data.words[-1] for task in works.values()] == [f"work/{id_}" for id_ in works]
        if shape.start != "work":
            assert begun.data.words == ["begun"]
        assert begun.data.none is None
        assert begun.data.start_of == {"a": 1}

    def test_equal_values_are_one_version_wherever_they_were_made(
        self, played: Played, shape: Shape
    ) -> None:
        begun = played.run[shape.start].task.artifacts
        works = [task.artifacts for task in played.tasks("work").values()]

        assert begun.big.data == random.Random(7).randbytes(300_000)
        assert {each.big.sha for each in works} == {begun.big.sha} == {begun.as_big.sha}
        assert {each.agreed.sha for each in works} == {begun.agreed.sha}

    def test_every_task_has_the_parameters_of_the_run(self, played: Played, shape: Shape) -> None:
        given = [value for _, value in PARAMETERS.values()]

        for step in shape.tasks:
            assert all(seen == given for seen in played.values(step, "given"))
        assert all(seen == ["Matrix", None] for seen in played.values("work", "others"))

    def test_constants_are_inherited_from_classes_and_read_only(self, played: Played) -> None:
        constants = [{"limit": 3}, "from the mixin", "by the flow"]

        assert all(seen == constants for seen in played.values("work", "constants"))
        assert all("is a constant" in seen for seen in played.values("work", "refusal"))
        refusals = played.values("work", "refusal_of_parameter")
        assert all(re.search(r"'?text'?.*parameter|arameter 'text'", seen) for seen in refusals)

    def test_an_artifact_that_is_missing_is_named_with_those_that_are_there(
        self, played: Played
    ) -> None:
        said = played.values("work", "missing")

        assert all("has no artifact 'nowhere' here. There is: " in each for each in said)
        assert all("word" in each for each in said)

    def test_a_merge_refuses_what_differs_and_what_is_missing_and_takes_the_rest(
        self, played: Played, shape: Shape
    ) -> None:
        joins = [task for name in shape.joins for task in played.tasks(name).values()]
        begun = played.run[shape.start].task.artifacts

        for task in joins:
            kind, names = task.data.refused["all"]
            assert kind == "UnhandledInMergeArtifacts"
            assert set(names) & {"own", "joined_by"}
            assert task.data.refused["missing"] == ("MissingInMergeArtifacts", ("nowhere",))
            assert task.data.refused["both"] == ("InvalidMerge", ())
            assert task.artifacts["big"].sha == begun.big.sha
            assert "left_out" not in task.artifacts
            assert "own" not in task.artifacts

    def test_a_task_is_repeated_after_an_error_and_after_its_death(self, played: Played) -> None:
        for id_, task in played.tasks("work").items():
            first, second = (Task(task.pathspec, attempt=number) for number in (0, 1))

            assert (task.data.visits, task.data.attempt, task.current_attempt) == (3, 2, 2)
            assert f"ValueError: first work/{id_}" in first.stderr
            assert "its process was killed by SIGKILL" in second.stderr
            assert first.exception is not None
            assert first.exception.reason.startswith(f"ValueError: first work/{id_} (matrix.py:")
            assert second.exception is not None
            assert second.exception.reason == "its process was killed by SIGKILL"
            assert task.exception is None

    def test_a_caught_failure_is_an_artifact_beside_what_was_set_before_it(
        self, played: Played, shape: Shape
    ) -> None:
        afters = played.tasks("after") if shape.has_after else {}

        for id_, task in afters.items():
            caught = task.data.caught
            fails = not id_.endswith("1")
            assert isinstance(caught, CaughtFailure) == fails
            assert (caught is None) == (not fails)
            assert task.data.before_failure == f"after/{id_}"
            assert (getattr(task.data, "behind_failure", "") == f"after/{id_}") == (not fails)
            if caught is not None:
                assert caught.type == "KeyError"
                assert caught.reason.startswith(f"KeyError: 'caught after/{id_}' (matrix.py:")

    def test_each_attempt_has_its_output_in_the_store_and_on_the_terminal(
        self, played: Played, shape: Shape
    ) -> None:
        for step, ids in shape.tasks.items():
            for path in (f"{step}/{id_}" for id_ in ids):
                last = 2 if step == "work" else 0
                for attempt in range(last + 1):
                    label = step if path == f"{step}/0" else path
                    label += f" #{attempt + 1}" if attempt else ""
                    line = f"out {path} {attempt}"
                    task = Task(f"{played.run.namespace}/{played.run.pathspec}/{path}", attempt)
                    assert task.stdout == line + "\n"
                    if played.is_requested:
                        continue
                    assert played.done.stdout.count(f"[{label}] {line}\n") == 1
                    assert played.done.stderr.count(f"[{label}] err {path} {attempt}\n") == 1

    def test_tasks_lead_to_one_another_as_the_graph_does(
        self, played: Played, shape: Shape
    ) -> None:
        joins = {path: played.run[path.split("/")[0]][path.split("/")[1]] for path in shape.inputs}
        works = played.tasks("work")

        assert {path: tuple(paths(task.parent_tasks)) for path, task in joins.items()} == (
            shape.inputs
        )
        assert paths(played.run[shape.start].task.parent_tasks) == []
        if shape.has_after and shape is not BRANCH and shape is not BRANCH_IN_FOREACH:
            assert {id_: paths(task.child_tasks) for id_, task in works.items()} == {
                id_: [f"after/{id_}"] for id_ in works
            }

    def test_a_task_has_the_number_of_its_item(self, played: Played, shape: Shape) -> None:
        indices = {id_: task.index for id_, task in played.tasks("work").items()}

        assert indices == {
            id_: shape.stacks[id_][-1][0] if shape.stacks else None for id_ in indices
        }

    def test_a_run_has_the_tags_that_it_was_given_and_is_found_by_them(
        self, played: Played, shape: Shape
    ) -> None:
        flow = Flow(f"{played.namespace}/Matrix")
        found = [run.id for run in flow.runs("finished", shape.name)]

        assert played.run.user_tags == {"finished", shape.name}
        assert found == [played.run.id]


@pytest.mark.parametrize(("stage", "shape"), LOCAL, indirect=["stage"])
class TestFailed:
    def test_the_run_fails_of_the_first_failure_with_the_place_in_the_file(
        self, failed: Played, shape: Shape, stage: Stage
    ) -> None:
        (line,) = [
            number
            for number, text in enumerate(stage.file(shape).read_text().splitlines(), start=1)
            if "for good" in text
        ]

        assert failed.done.returncode == 1
        assert failed.run.state is RunState.FAILED
        assert re.fullmatch(
            rf"Step work(/[-.0-9]+)? failed: RuntimeError: for good \(matrix\.py:{line}\)",
            failed.run.reason,
        )

    def test_nothing_follows_the_failure(self, failed: Played, shape: Shape) -> None:
        assert not failed.tasks("work")[failed_task(failed)].successful
        assert shape.end == "work" or failed.tasks(shape.end) == {}

    def test_it_has_no_results_and_says_why(self, failed: Played) -> None:
        with pytest.raises(NotFound, match="it is failed"):
            _ = failed.run.data

    def test_the_traceback_begins_in_the_code_of_the_flow(self, failed: Played) -> None:
        said = failed.tasks("work")[failed_task(failed)].stderr

        assert "RuntimeError: for good" in said
        assert "/eventflow/" not in said


@pytest.mark.parametrize(("stage", "shape"), LOCAL, indirect=["stage"])
class TestResumed:
    def test_a_resumed_run_comes_to_the_end_with_what_the_failed_one_was_given(
        self, failed: Played, resumed: Played, shape: Shape
    ) -> None:
        tasks = {step: tuple(resumed.tasks(step)) for step in shape.tasks}

        assert resumed.done.returncode == 0, resumed.done.stderr
        assert resumed.run.state is RunState.SUCCEEDED
        assert resumed.run.origin_pathspec == f"Matrix/{failed.run.id}"
        assert resumed.run.data.given == [value for _, value in PARAMETERS.values()]
        assert tasks == shape.tasks
        if shape.joins:
            assert resumed.run.data.results == [f"work/{task}" for task in shape.results]

    def test_what_has_finished_is_not_run_again(
        self, failed: Played, resumed: Played, shape: Shape
    ) -> None:
        times = Counter(resumed.ran)
        again = {f"work/{failed_task(failed)}"}
        if shape.name == "gang":  # its tasks run together or not at all
            again |= {f"{step}/{task}" for step in ("work", "after") for task in shape.tasks[step]}

        assert {path for path, count in times.items() if count > 1} <= again
        assert set(times.values()) <= {1, 2}


@pytest.mark.parametrize("stage", ["local"], indirect=True)
@pytest.mark.parametrize(
    ("shape", "taken_over"),
    [(BRANCH, {"start/0", "work/0"}), (FOREACH, None), (LOOP, {"start/0", "work/0"})],
    ids=lambda each: getattr(each, "name", ""),
)
def test_a_run_is_resumed_from_a_step_and_all_that_follows_runs_again(
    stage: Stage, shape: Shape, taken_over: set[str] | None
) -> None:
    finished = stage.finished(shape)
    before = Counter(finished.ran)

    again = stage.resume(finished, "after")

    assert again.run.state is RunState.SUCCEEDED
    taken_over = taken_over or {"start/0", *(f"work/{task}" for task in shape.tasks["work"])}
    assert {path for path, count in Counter(again.ran).items() if count == before[path]} == (
        taken_over
    )
