"""One attempt of a task, from its inputs to its artifacts, in a process of its own.

Its values are put first, its output next, `artifacts.json` last: readers see all of an attempt
or none. Where that file stands already, whoever wrote it, what it says counts.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from eventflow.authoring.current import running
from eventflow.authoring.flow_spec import FlowSpec
from eventflow.authoring.inputs import Input
from eventflow.errors import EventflowError, FlowProblem, InvalidFlow, ObjectMissing
from eventflow.execution.failure import Failure
from eventflow.execution.messages import Report
from eventflow.execution.output import add_to_stderr, flush_streams, keep_output
from eventflow.model.completion import Outcome
from eventflow.model.payload import decode_value
from eventflow.store.artifacts import TaskRecord, load_value, read_task, save_values, write_task
from eventflow.store.runs import place_of

if TYPE_CHECKING:
    from pathlib import Path

    from eventflow.context import World
    from eventflow.execution.loading import Loaded
    from eventflow.model.task import TaskPlan
    from eventflow.store.artifacts import ArtifactRef

__all__ = ["FAULT_POINTS", "Attempt"]

FAULT_POINTS = ("task.values-saved", "task.output-kept", "task.recorded")


class Attempt:
    """An attempt at work. `folder` has what it prints."""

    def __init__(self, task: TaskPlan, world: World, folder: Path) -> None:
        self._task, self._world, self._folder = task, world, folder
        self._store, self._place = world.store, place_of(task.run.request)
        self._store.rely_on(self._place.root)  # run.json is put before the first task starts

    def run(self, loaded: Loaded) -> Report:
        """Run the step. Never raises for what user code does: that is in the report and stderr."""
        if loaded.failure is not None:
            return self._failed(loaded.failure)
        try:
            return self._persist(self._execute(_flow(loaded, self._task)))
        except BaseException as error:  # noqa: BLE001 - user code may raise anything, sys.exit too
            return self._failed(Failure.of(error, loaded.root))

    def bury(self, reason: str) -> Report:
        """Its process died of `reason`: keep its output, unless it had got to its end before."""
        try:
            record = read_task(self._store, self._place, self._task.key)
        except ObjectMissing:
            return self._failed(Failure(reason, f"eventflow: {reason}\n"))
        return Report(Outcome.SUCCEEDED, record.next_steps)

    def _execute(self, flow: FlowSpec) -> TaskRecord:
        task, clock = self._task, self._world.effects.clock
        started_at = clock.now()
        inherited = self._bind(flow)
        process = os.getpid()
        try:
            with running(task, flow) as published:
                next_steps = flow._run_step(task.key.step)
        finally:
            if os.getpid() != process:
                os._exit(0)  # a fork that the step made and let return: it is not the attempt
        new = save_values(self._store, task.run.project, flow._new_artifacts())
        self._world.effects.faults.reach("task.values-saved")
        return TaskRecord(
            key=task.key,
            artifacts={**inherited, **new},
            next_steps=next_steps,
            published=tuple(published),
            started_at=started_at,
            finished_at=clock.now(),
            inputs=task.inputs,
        )

    def _bind(self, flow: FlowSpec) -> Mapping[str, ArtifactRef]:
        """Give the flow what it starts with; what of it the task inherits by reference."""
        task = self._task
        records = [read_task(self._store, self._place, each) for each in task.inputs]
        is_join = task.run.graph.step(task.key.step).is_join
        inherited = records[0].artifacts if records and not is_join else {}
        inputs = [Input(each.key.step, self._lazy(each.artifacts)) for each in records]
        given = task.run.request.parameters
        parameters = {name: decode_value(text) for name, text in given.items()}
        flow._bind(self._lazy(inherited), inputs if is_join else None, parameters)
        return inherited

    def _lazy(self, refs: Mapping[str, ArtifactRef]) -> Mapping[str, object]:
        return _LazyValues(self._world, self._task.run.project, refs)

    def _persist(self, record: TaskRecord) -> Report:
        self._keep_output()
        self._world.effects.faults.reach("task.output-kept")
        nonce = self._world.effects.ids.token()
        standing = write_task(self._store, self._place, record, nonce).content
        self._world.effects.faults.reach("task.recorded")
        return Report(Outcome.SUCCEEDED, tuple(standing["next_steps"]))

    def _failed(self, failure: Failure) -> Report:
        flush_streams()
        add_to_stderr(self._folder, failure.traceback)
        reason = failure.reason
        try:
            self._keep_output()
        except EventflowError as error:
            # The failure itself is what matters; that its output is lost is said with it.
            reason += f"; its output could not be kept: {error}"
        return Report(Outcome.FAILED, (), reason)

    def _keep_output(self) -> None:
        flush_streams()
        keep_output(self._store, self._place, self._task.key, self._folder)


class _LazyValues(Mapping[str, object]):
    """Artifacts, each loaded when it is first asked for and kept then."""

    def __init__(self, world: World, project: str, refs: Mapping[str, ArtifactRef]) -> None:
        self._world, self._project, self._refs = world, project, refs
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> object:
        if name not in self._loaded:
            self._loaded[name] = load_value(
                self._world.store,
                self._project,
                self._refs[name],
                allow_pickle=self._world.allow_pickle,
            )
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self._refs

    def __iter__(self) -> Iterator[str]:
        return iter(self._refs)

    def __len__(self) -> int:
        return len(self._refs)


def _flow(loaded: Loaded, task: TaskPlan) -> FlowSpec:
    """The flow of the task, of which its step can be run."""
    name, step = task.run.request.flow, task.key.step
    module = loaded.flow_file
    flow_class = getattr(module, name, None)
    if not (isinstance(flow_class, type) and issubclass(flow_class, FlowSpec)):
        raise _problem(f"there is no flow {name} in this file", task, 1)
    function = getattr(flow_class, step, None)
    if function is None:
        raise _problem(f"{name} has no step {step}", task, 1)
    if _runs_nothing(function):
        line = function.__code__.co_firstlineno
        raise _problem(f"step {step} is a generator or async: calling it runs nothing", task, line)
    return flow_class(use_cli=False)


def _runs_nothing(function: object) -> bool:
    return (
        inspect.isgeneratorfunction(function)
        or inspect.iscoroutinefunction(function)
        or inspect.isasyncgenfunction(function)
    )


def _problem(message: str, task: TaskPlan, line: int) -> InvalidFlow:
    return InvalidFlow([FlowProblem(f"{message}.", task.run.code_file, line)])
