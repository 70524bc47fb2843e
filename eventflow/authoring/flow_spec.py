"""`FlowSpec`: a flow, a DAG of steps written as a class.

An instance is one task at work. What the step sets on `self` becomes the task's artifacts; what
it reads and did not set are artifacts of the tasks before it, loaded when they are first read.
The execution binds an instance (`_bind`), runs its step (`_run_step`) and takes what the step
made (`_new_artifacts`).
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from eventflow import context
from eventflow.authoring.inputs import Inputs
from eventflow.authoring.members import class_attribute, constants_of, is_constant, parameters_of
from eventflow.authoring.parameter import Parameter
from eventflow.authoring.step import is_step
from eventflow.errors import ArtifactMissing, ArtifactReadOnly, FlowProblem, InvalidFlow
from eventflow.model.graph import END

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from eventflow.authoring.inputs import Input

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

_INTERNALS: Final = frozenset({"_binding", "_transition"})
_UNCHANGEABLE: Final = (type(None), bool, int, float, complex, str, bytes)
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class _Binding:
    """What a task is given: artifacts of the tasks before it, its inputs, the run's parameters."""

    inherited: Mapping[str, object] = field(default_factory=lambda: _NOTHING)
    inputs: Inputs | None = None
    parameters: Mapping[str, object] = field(default_factory=lambda: _NOTHING)


class FlowSpec:
    """A flow. Subclass it, mark methods with `@step`, and end its file with

        if __name__ == "__main__":
            MyFlow()

    which runs the flow's command line. Attributes of the class that are data are constants:
    read-only artifacts, like parameters.
    """

    _binding: _Binding = _Binding()
    _transition: tuple[str, ...] | None = None

    def __init__(self, use_cli: bool = True) -> None:
        if use_cli:
            context.run_flow_cli(type(self))

    @property
    def name(self) -> str:
        """The name of the flow: that of its class."""
        return type(self).__name__

    def next(self, *steps: Callable[..., None], **options: object) -> None:
        """Say what follows: the last statement of every step but `end`.

        Several steps run side by side, until one step that takes `inputs` joins them.
        """
        mistake = self._mistake_in_next(steps, options)
        if mistake:
            place = traceback.extract_stack(limit=2)[0]
            raise InvalidFlow([FlowProblem(mistake, place.filename, place.lineno or 0)])
        vars(self)["_transition"] = tuple(each.__name__ for each in steps)

    def __getattr__(self, name: str) -> Any:
        # Reached only when neither the task nor the class has it.
        inherited = self._binding.inherited
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

    # ── for the execution ────────────────────────────────────────────────────

    def _bind(
        self,
        inherited: Mapping[str, object],
        inputs: Sequence[Input] | None,
        parameters: Mapping[str, object],
    ) -> None:
        """Become a task. `inherited` loads a value when it is asked for it; `inputs` are those
        of a join, in the order of the graph; `parameters` are values by parameter name, a
        missing one is None."""
        unset = {each.name: None for each in parameters_of(type(self)).values()}
        vars(self)["_binding"] = _Binding(
            inherited, None if inputs is None else Inputs(inputs), {**unset, **parameters}
        )

    def _run_step(self, name: str) -> tuple[str, ...]:
        """Run a step of this flow; the steps that it leads to.

        Raises:
            InvalidFlow: the step ended without saying what follows, or `end` said it.
            Exception: whatever the step raises.
        """
        method = getattr(self, name)
        inputs = self._binding.inputs
        _ = method() if inputs is None else method(inputs)
        if (self._transition is None) == (name != END):
            code = method.__func__.__code__
            what = "must not call self.next" if name == END else "ended without calling self.next"
            problem = FlowProblem(f"Step {name!r} {what}.", code.co_filename, code.co_firstlineno)
            raise InvalidFlow([problem])
        return self._transition or ()

    def _new_artifacts(self) -> dict[str, object]:
        """What the task adds to what it inherited: what the step set, what it may have changed
        in place, and the parameters and constants where they are not inherited."""
        inherited = frozenset(self._binding.inherited)
        flow_class, values = type(self), self._binding.parameters
        read_only = {
            **constants_of(flow_class),
            **{name: values.get(each.name) for name, each in parameters_of(flow_class).items()},
        }
        new = {name: value for name, value in read_only.items() if name not in inherited}
        own = {name: value for name, value in vars(self).items() if name not in _INTERNALS}
        return {**new, **own}

    # ── refusals ─────────────────────────────────────────────────────────────

    def _mistake_in_next(
        self, steps: tuple[Callable[..., None], ...], options: Mapping[str, object]
    ) -> str | None:
        if options:
            names = ", ".join(f"{name}=" for name in options)
            return f"self.next(…, {names}) is not yet executed in this version."
        if self._transition is not None:
            return "self.next is called a second time; call it once, as the last statement."
        if not steps:
            return "self.next() names no step: write self.next(self.<step>)."
        if not all(is_step(each) for each in steps):
            return "self.next takes steps: write self.next(self.<step>), without parentheses."
        return None

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
        if isinstance(class_attribute(type(self), name), Parameter):
            return f"Parameter {name!r} has no value outside of a run."
        if self._binding.inputs is not None:
            where = f"A join takes artifacts from its inputs: inputs.<step>.{name}."
        else:
            own = [each for each in vars(self) if each not in _INTERNALS]
            where = f"There is: {', '.join(sorted({*names, *own})) or 'nothing yet'}."
        return f"{self.name} has no artifact {name!r} here. {where}"
