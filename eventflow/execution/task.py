"""One attempt of a task, from its inputs to its artifacts, in a process of its own.

Its values are put first, its output next, `artifacts.json` last: readers see all of an attempt
or none. Where that file stands already, whoever wrote it, what it says counts.
"""

from __future__ import annotations

import inspect
import os
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from eventflow.authoring.caught import CaughtFailure
from eventflow.authoring.current import running
from eventflow.authoring.flow_spec import FlowSpec
from eventflow.authoring.source import place_of_assignment
from eventflow.authoring.transition import FOREACH_ITEMS, Transition
from eventflow.errors import (
    ArtifactNotStorable,
    EventflowError,
    FlowProblem,
    InvalidFlow,
    ObjectMissing,
)
from eventflow.execution.exit_hooks import EXIT_HOOK
from eventflow.execution.extras import Extras
from eventflow.execution.failure import Failure, is_final
from eventflow.execution.given import given, save_made
from eventflow.execution.lazy import LazyValues, inputs_of, levels_of
from eventflow.execution.messages import Report
from eventflow.execution.output import (
    add_to_stderr,
    flush_streams,
    has_secrets,
    keep_output,
    note_secrets,
)
from eventflow.model.completion import Outcome
from eventflow.store.artifacts import TaskRecord, load_value, read_task, write_task
from eventflow.store.failures import write_failure
from eventflow.store.live_output import remove_pieces
from eventflow.store.runs import place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from eventflow.context import World
    from eventflow.execution.loading import Loaded
    from eventflow.model.offset import Offset
    from eventflow.model.task import TaskPlan
    from eventflow.store.artifacts import ArtifactRef

__all__ = ["FAULT_POINTS", "Attempt"]

_RUNS_NOTHING = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
FAULT_POINTS = ("task.values-saved", "task.output-kept", "task.recorded")


@dataclass(slots=True)
class _Work:
    """A step at work: its flow, when it began, the events that it published; what is stored of
    its artifacts when that is known."""

    flow: FlowSpec
    started_at: datetime
    published: list[Offset] = field(default_factory=list)
    stored: Mapping[str, ArtifactRef] = field(default_factory=dict)


class Attempt:
    """An attempt at work. `folder` has what it prints."""

    def __init__(
        self,
        task: TaskPlan,
        world: World,
        folder: str,
        tell_secrets: Callable[[tuple[str, ...]], None] = lambda _: None,
    ) -> None:
        """`tell_secrets` is called with the values of its secrets before it can print them."""
        self._task, self._world, self._folder = task, world, folder
        self._tell_secrets = tell_secrets
        self._store, self._place = world.store, place_of(task.run.request)
        # On disk before this task started: run.json, and what an input left below this epoch.
        reads_own = any(each.epoch == task.key.epoch for each in task.inputs)
        place, epoch = self._place, task.key.epoch
        self._store.rely_on(place.epoch(epoch) if reads_own else place.root)
        self._node = task.run.graph.step(task.key.step)
        self._extras = Extras()
        self._work: _Work | None = None
        self._is_secret = False

    def run(self, loaded: Loaded) -> Report:
        """Run the step. Never raises for what user code does: that is in the report and stderr."""
        if loaded.failure is not None:
            return self._failed(loaded.failure)
        try:
            if self._task.key.step == EXIT_HOOK:
                return self._persist(self._call_hook(loaded))
            flow = _flow(loaded, self._task)
            self._work = work = _Work(flow, self._world.effects.clock.now())
            self._bind(flow)  # first: what a decorator was told may be of a configuration
            self._extras = Extras.of(type(flow), self._node)
            record = self._result(work, loaded.root)
            self._put_cards(work)
            return self._persist(record)
        except BaseException as error:  # noqa: BLE001 - user code may raise anything, sys.exit too
            return self._failed(Failure.of(error, loaded.root))

    def bury(self, reason: str, hides: tuple[str, ...]) -> Report:
        """Its process died of `reason`: keep its output, without what it `hides`, unless it had
        got to its end before. Where nobody knows its secrets any more, its pieces are all that is
        kept."""
        self._extras.hide(hides)
        self._is_secret = not hides and has_secrets(self._folder)
        try:
            record = read_task(self._store, self._place, self._task.key)
        except ObjectMissing:
            report = self._failed(Failure(reason, f"eventflow: {reason}\n"))
            if not self._is_secret:
                with suppress(EventflowError):  # what stands is the truth, with or without pieces
                    remove_pieces(self._store, self._place, self._task.key)
            return report
        return Report(Outcome.SUCCEEDED, record.next_steps, splits=record.splits)

    def _result(self, work: _Work, root: Path) -> TaskRecord:
        """What the attempt leaves, its values saved: of its step, or of what `@catch` makes."""
        how = self._node.how
        if self._task.failure:
            return self._caught(work, CaughtFailure(self._task.failure))
        try:
            transition = self._run_step(work)
            if how.is_caught and how.catch_artifact and how.catch_artifact not in vars(work.flow):
                setattr(work.flow, how.catch_artifact, None)
            return self._record(work, transition)
        except Exception as error:
            is_last = self._task.key.attempt >= how.retries or is_final(error)
            if not (how.is_caught and is_last):
                raise
            failure = self._extras.hidden(Failure.of(error, root))
            if self._extras.prints_caught:
                add_to_stderr(self._folder, failure.traceback)
            kind = type(error).__name__
            return self._caught(work, CaughtFailure(failure.reason, failure.traceback, kind))

    def _run_step(self, work: _Work) -> Transition:
        task, process = self._task, os.getpid()
        try:
            with running(task, work.flow, self._extras.board) as work.published:
                self._extras.set_secrets(self._share_secrets)
                return work.flow._run_step(task.key.step, self._node)
        finally:
            if os.getpid() != process:
                os._exit(0)  # a fork that the step made and let return: it is not the attempt

    def _caught(self, work: _Work, failure: CaughtFailure) -> TaskRecord:
        """The task goes on, with what was set before the failure and with the failure itself."""
        name = self._node.how.catch_artifact
        if name:
            vars(work.flow)[name] = failure
        return self._record(work, Transition(self._node.next_steps))

    def _record(self, work: _Work, transition: Transition) -> TaskRecord:
        inherited = self._inherited(work.flow)
        try:
            new = save_made(self._store, self._task.run.project, work.flow._new_artifacts())
        except ArtifactNotStorable as error:
            error.place = place_of_assignment(type(work.flow), self._task.key.step, error.artifact)
            raise
        self._world.effects.faults.reach("task.values-saved")
        work.stored = {**inherited, **new}
        return TaskRecord(
            key=self._task.key,
            artifacts=work.stored,
            next_steps=transition.steps,
            published=tuple(work.published),
            started_at=work.started_at,
            finished_at=self._world.effects.clock.now(),
            inputs=self._task.inputs,
            splits=transition.splits,
            items=self._task.items,
        )

    def _bind(self, flow: FlowSpec) -> None:
        """Give the flow what it starts with."""
        task, world = self._task, self._world
        flow._bind(
            self._from_before(),
            inputs_of(world, task) if self._node.is_join else None,
            given(type(flow), task.run.request.parameters, self._load),
            levels_of(world, task, task.items),
        )

    def _load(self, ref: ArtifactRef) -> object:
        world = self._world
        return load_value(world.store, self._task.run.project, ref, allow_pickle=world.allow_pickle)

    def _from_before(self) -> LazyValues:
        """The artifacts of the one task before this one; a join begins with none."""
        refs: Mapping[str, ArtifactRef] = {}
        if self._task.inputs and not self._node.is_join:
            refs = read_task(self._store, self._place, self._task.inputs[0]).artifacts
            refs = {name: ref for name, ref in refs.items() if name != FOREACH_ITEMS}
        return LazyValues(self._world, self._task.run.project, refs)

    def _inherited(self, flow: FlowSpec) -> Mapping[str, ArtifactRef]:
        """What the task has of those before it, by reference."""
        own = flow._binding.inherited
        refs = dict(own.refs) if isinstance(own, LazyValues) else {}
        for name, each in flow._merged.items():
            values = each._artifacts
            assert isinstance(values, LazyValues)
            refs[name] = values.refs[name]
        return refs

    def _persist(self, record: TaskRecord) -> Report:
        self._keep_output()
        self._world.effects.faults.reach("task.output-kept")
        nonce = self._world.effects.ids.token()
        standing = write_task(self._store, self._place, record, nonce).content
        self._world.effects.faults.reach("task.recorded")
        next_steps, splits = tuple(standing["next_steps"]), standing["splits"]
        return Report(Outcome.SUCCEEDED, next_steps, splits=splits)

    def _call_hook(self, loaded: Loaded) -> TaskRecord:
        """Call an exit hook, which leaves nothing but that it has returned."""
        # Here, because no other task has a use for it.
        from eventflow.execution.hook_task import call_hook  # noqa: PLC0415

        clock, began = self._world.effects.clock, self._world.effects.clock.now()
        call_hook(loaded.flow_file, self._task, self._store)
        return TaskRecord(self._task.key, {}, (), (), began, clock.now(), ())

    def _put_cards(self, work: _Work, failure: Failure | None = None) -> None:
        """Make the cards of the attempt; one that cannot be made is said in its stderr."""
        finished_at = self._world.effects.clock.now()
        complaints = self._extras.put_cards(
            self._store,
            self._task,
            (work.started_at, finished_at),
            (work.flow, work.stored),
            failure,
        )
        if complaints:
            flush_streams()
            add_to_stderr(self._folder, complaints)

    def _failed(self, failure: Failure) -> Report:
        flush_streams()
        failure = self._extras.hidden(failure)
        add_to_stderr(self._folder, failure.traceback)
        reason = failure.reason
        try:
            if self._work is not None:
                self._put_cards(self._work, failure)
            self._keep_output()
            said = {"reason": failure.reason, "traceback": failure.traceback}
            write_failure(self._store, self._place, self._task.key, **said)
        except EventflowError as error:
            # The failure itself is what matters; that its output is lost is said with it.
            reason += f"; its output could not be kept: {error}"
        return Report(Outcome.FAILED, (), reason, is_final=failure.is_final)

    def _share_secrets(self, values: tuple[str, ...]) -> None:
        note_secrets(self._folder)
        self._tell_secrets(values)

    def _keep_output(self) -> None:
        if self._is_secret:
            return
        flush_streams()
        hide = self._extras.hidden_bytes
        keep_output(self._store, self._place, self._task.key, self._folder, hide)


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
    code = getattr(function, "__code__", None)
    return code is not None and bool(code.co_flags & _RUNS_NOTHING)


def _problem(message: str, task: TaskPlan, line: int) -> InvalidFlow:
    return InvalidFlow([FlowProblem(f"{message}.", task.run.code_file, line)])
