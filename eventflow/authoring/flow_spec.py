"""`FlowSpec`: a flow, a DAG of steps written as a class.

An instance is one task at work. What the step sets on `self` becomes the task's artifacts; what
it reads and did not set are artifacts of the tasks before it, loaded when they are first read.
The execution binds an instance (`_bind`), runs its step (`_run_step`) and takes what the step
made (`_new_artifacts`).
"""

from __future__ import annotations

import sys
import traceback
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from eventflow import context
from eventflow.authoring.config import Config
from eventflow.authoring.config_expr import ConfigExpr
from eventflow.authoring.configs import bind_configs, resolved_parameters
from eventflow.authoring.flow_ends import ends_of
from eventflow.authoring.members import class_attribute, constants_of, is_constant, parameters_of
from eventflow.authoring.merging import merged
from eventflow.authoring.parameter import Parameter
from eventflow.authoring.step import is_step
from eventflow.authoring.transition import (
    FOREACH_ITEMS,
    NextMistake,
    Transition,
    ValueMistake,
    transition_of,
)
from eventflow.authoring.user_decorators import go_on, run_within, wrappers_of
from eventflow.errors import (
    ArtifactMissing,
    ArtifactReadOnly,
    FlowProblem,
    InvalidFlow,
    InvalidMerge,
    InvalidTransition,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from eventflow.authoring.inputs import Input, Inputs, Level, Versions
    from eventflow.model.graph import StepNode

__all__ = ["RESERVED_NAMES", "FlowSpec"]

RESERVED_NAMES: Final = frozenset(
    {
        # What a FlowSpec has, or will have, under the name that Metaflow gave it.
        "cmd",
        "foreach_stack",
        "index",
        "input",
        "inputs",
        "merge_artifacts",
        "name",
        "next",
        "script_name",
        # A key of the store beside the steps of an epoch: the marks of life of a run by hand.
        "alive",
    }
)
"""Names that no step, artifact or parameter of a flow can have."""

_INTERNALS: Final = frozenset({"_binding", "_merged", "_transition"})
_UNCHANGEABLE: Final = (type(None), bool, int, float, complex, str, bytes)
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class _Binding:
    """What a task is given: artifacts of the tasks before it, its inputs, the run's parameters,
    the levels of foreach around it, the run's configurations; None of these outside of a run."""

    inherited: Versions | Mapping[str, object] = field(default_factory=lambda: _NOTHING)
    inputs: Inputs | None = None
    parameters: Mapping[str, object] = field(default_factory=lambda: _NOTHING)
    levels: Sequence[Level] = ()
    configs: Mapping[str, object] | None = None


class FlowSpec:
    """A flow. Subclass it, mark methods with `@step`, and end its file with

        if __name__ == "__main__":
            MyFlow()

    which runs the flow's command line. Attributes of the class that are data are constants:
    read-only artifacts, like parameters.
    """

    _binding: _Binding = _Binding()
    _transition: Transition | None = None
    _merged: Mapping[str, Input] = _NOTHING

    def __init__(self, use_cli: bool = True) -> None:
        if use_cli:
            context.run_flow_cli(type(self))

    @property
    def name(self) -> str:
        """The name of the flow: that of its class."""
        return type(self).__name__

    @property
    def script_name(self) -> str:
        """The file of the flow, without its folder."""
        file = getattr(sys.modules.get(type(self).__module__), "__file__", None) or ""
        return file.rpartition("/")[2]

    @property
    def index(self) -> int | None:
        """Which item of the innermost foreach this task is for, from 0; None outside of any."""
        levels = self._binding.levels
        return levels[-1].index if levels else None

    @property
    def input(self) -> Any:
        """The item of the innermost foreach that this task is for; None outside of any."""
        levels = self._binding.levels
        return levels[-1].load() if levels else None

    def foreach_stack(self) -> list[tuple[int, int, Any]]:
        """(index, number of items, item) of each foreach around this task, outermost first."""
        return [(each.index, each.count, each.load()) for each in self._binding.levels]

    def next(
        self,
        *steps: Callable[..., None] | Mapping[Any, Callable[..., None]],
        foreach: str | None = None,
        num_parallel: int | None = None,
        condition: str | None = None,
    ) -> None:
        """Say what follows: the last statement of every step but the last one.

        Several steps run side by side, until one step that takes `inputs` joins them. With
        `foreach`, the name of an artifact, the step runs once for each of its items, which it
        finds in `self.input`; with `num_parallel` so many tasks of it run at the same time. With
        `condition`, the name of an artifact, `steps` is one dict, and the value of the artifact
        chooses the step that follows.
        """
        try:
            transition = transition_of(self, steps, foreach, num_parallel, condition)
        except NextMistake as mistake:
            place = traceback.extract_stack(limit=2)[0]
            problem = FlowProblem(str(mistake), place.filename, place.lineno or 0)
            kind = InvalidTransition if isinstance(mistake, ValueMistake) else InvalidFlow
            raise kind([problem]) from None
        vars(self)["_transition"] = transition

    def merge_artifacts(
        self,
        inputs: Sequence[Input],
        exclude: Collection[str] = (),
        include: Collection[str] = (),
    ) -> None:
        """In a join, take over the artifacts of the inputs, without loading them.

        Left out are those that this step has set already, those named in `exclude`, and, with
        `include`, all others.

        Raises:
            UnhandledInMergeArtifacts: inputs differ in some: set these before, or exclude them.
            MissingInMergeArtifacts: no input has some that are included.
            InvalidMerge: this step is no join, has merged before, or gives both lists.
        """
        if self._binding.inputs is None:
            raise InvalidMerge("merge_artifacts is for joins: steps that take inputs.")
        if self._merged:
            raise InvalidMerge("merge_artifacts is called a second time: call it once.")
        flow_class = type(self)
        own = {*vars(self), *parameters_of(flow_class), *constants_of(flow_class)}
        vars(self)["_merged"] = merged(inputs, own=own, include=include, exclude=exclude)

    def __getattr__(self, name: str) -> Any:
        # Reached only when neither the task nor the class has it, or a property lacks something.
        attribute = class_attribute(type(self), name)
        if isinstance(attribute, property):
            return attribute.__get__(self)  # once more, to say what it lacks
        inherited: Versions | Mapping[str, object] = self._binding.inherited
        if name in self._merged:
            inherited = self._merged[name]._artifacts
        names = frozenset(inherited) if not name.startswith("__") else frozenset()
        if name not in names:
            raise ArtifactMissing(self._missing(name, sorted(names)))
        value = inherited[name]
        if not isinstance(value, _UNCHANGEABLE):
            vars(self)[name] = value  # the step may change it in place: then it is a new version
        return value

    def __setattr__(self, name: str, value: object) -> None:
        refusal = self._refusal(name)
        if refusal:
            raise ArtifactReadOnly(refusal)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        attribute = class_attribute(type(self), name)
        inherited = name in frozenset(self._binding.inherited) or name in self._merged
        if isinstance(attribute, Parameter | Config | ConfigExpr):
            refusal = f"{name!r} is a parameter of {self.name} and cannot be deleted."
        elif attribute is not None and (refused := self._refusal(name)):
            refusal = refused
        elif inherited:
            refusal = (
                f"{name!r} comes from an earlier step and cannot be deleted: set it to None,"
                " or give it to fewer steps."
            )
        elif name not in vars(self):
            raise ArtifactMissing(self._missing(name, sorted(self._binding.inherited)))
        else:
            super().__delattr__(name)
            return
        raise ArtifactReadOnly(refusal)

    # ── for the execution ────────────────────────────────────────────────────

    def _bind(
        self,
        inherited: Versions | Mapping[str, object],
        inputs: Inputs | None,
        parameters: Mapping[str, object],
        levels: Sequence[Level] = (),
    ) -> None:
        """Become a task. `inherited` loads a value when it is asked for it; `inputs` are those
        of a join; `parameters` are values by parameter name, a missing one is None; `levels` are
        those of foreach around it, outermost first."""
        configs = bind_configs(type(self), parameters)
        seen = {
            each.name: each.seen(parameters.get(each.name))
            for each in resolved_parameters(type(self)).values()
        }
        vars(self)["_binding"] = _Binding(inherited, inputs, seen, levels, configs)

    def _run_step(self, name: str, node: StepNode | None = None) -> Transition:
        """Run a step of this flow within the decorators that people wrote; where it leads. `node`
        says how it goes on where a decorator skips it.

        Raises:
            InvalidFlow: the step ended without saying what follows, or the last one said it.
            Exception: whatever the step raises.
        """
        method = getattr(self, name)
        inputs = self._binding.inputs
        call = method if inputs is None else partial(method, inputs)
        following = run_within(wrappers_of(method), self, name, inputs, call)
        if following is not None and node is not None:
            go_on(self, node, following)
        is_last = name == ends_of(type(self))[1]
        if (self._transition is None) != is_last:
            code = method.__func__.__code__
            what = (
                "must not call self.next, it is the last: remove the call."
                if is_last
                else "ended without calling self.next: let every way through it end with the call."
            )
            problem = FlowProblem(f"Step {name!r} {what}", code.co_filename, code.co_firstlineno)
            raise InvalidFlow([problem])
        return self._transition or Transition(())

    def _new_artifacts(self) -> dict[str, object]:
        """What the task adds to what it inherited: what the step set, what it may have changed
        in place, and the parameters and constants where they are not inherited."""
        inherited = frozenset(self._binding.inherited)
        flow_class, values = type(self), self._binding.parameters
        read_only = {
            **{name: getattr(self, name) for name in constants_of(flow_class)},
            **{name: values.get(each.name) for name, each in parameters_of(flow_class).items()},
        }
        new = {name: value for name, value in read_only.items() if name not in inherited}
        own = {name: value for name, value in vars(self).items() if name not in _INTERNALS}
        items = self._transition.items if self._transition else None
        return {**new, **own, **({} if items is None else {FOREACH_ITEMS: items})}

    # ── refusals ─────────────────────────────────────────────────────────────

    def _refusal(self, name: str) -> str | None:
        if name in RESERVED_NAMES or name in _INTERNALS:
            return f"self.{name} is taken; give the artifact another name."
        attribute = class_attribute(type(self), name)
        if attribute is None:
            return None
        if is_step(attribute):
            return f"{name!r} is a step; give the artifact another name."
        if is_constant(name, attribute):
            return (
                f"{name!r} is a constant of {self.name} and cannot be set: it is the same in"
                " every step. Assign to an artifact of another name."
            )
        return None

    def _missing(self, name: str, names: Sequence[str]) -> str:
        if isinstance(class_attribute(type(self), name), Parameter | Config | ConfigExpr):
            return f"Parameter {name!r} has no value outside of a run."
        if self._binding.inputs is not None:
            where = f"A join takes artifacts from its inputs: inputs.<step>.{name}."
        else:
            own = [each for each in vars(self) if each not in _INTERNALS]
            where = f"There is: {', '.join(sorted({*names, *own})) or 'nothing yet'}."
        return f"{self.name} has no artifact {name!r} here. {where}"
