"""Where a task goes on: what `self.next(…)` says, evaluated while the step runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eventflow.authoring.step import is_step

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventflow.authoring.flow_spec import FlowSpec

    Step = Callable[..., None]

__all__ = ["FOREACH_ITEMS", "WRITE", "NextMistake", "Transition", "ValueMistake", "transition_of"]

WRITE = "write self.next(self.<step>)"
FOREACH_ITEMS = "_foreach_items"
"""The artifact with the items of a foreach whose own artifact has no order that lasts, or no
positions: of a set, a dict. It is read by the tasks of that foreach only."""


class NextMistake(Exception):
    """What is wrong with a call of `self.next`; the flow adds file and line."""


class ValueMistake(NextMistake):
    """What is wrong is a value that the step has come to, and not how the call is written."""


@dataclass(frozen=True, slots=True)
class Transition:
    """The steps that follow; `splits` is how many tasks a foreach or a gang opens. `items` are
    those of the foreach where they have to be kept besides its artifact."""

    steps: tuple[str, ...]
    splits: int = 0
    items: list[Any] | None = None


def transition_of(
    flow: FlowSpec,
    steps: Sequence[object],
    foreach: str | None,
    num_parallel: int | None,
    condition: str | None,
) -> Transition:
    """What a call of `self.next` says.

    Raises:
        NextMistake: it says nothing that can be done.
        ArtifactMissing: there is no artifact of that name.
    """
    if flow._transition is not None:
        raise NextMistake("self.next is called a second time; call it once, as the last statement.")
    given = [each for each in (foreach, num_parallel, condition) if each is not None]
    if len(given) > 1:
        raise NextMistake("self.next takes one of foreach=, num_parallel= and condition=.")
    if condition is not None:
        return _switch(flow, steps, condition)
    names = _names(steps)
    if given and len(names) != 1:
        raise NextMistake("foreach= and num_parallel= lead to one step: name one.")
    if foreach is not None:
        return _foreach(flow, names, foreach)
    if num_parallel is not None:
        return Transition(names, _size_of_gang(num_parallel))
    return Transition(names)


def _names(steps: Sequence[object]) -> tuple[str, ...]:
    if not steps:
        raise NextMistake(f"self.next() names no step: {WRITE}.")
    return tuple(map(_name, steps))


def _name(step: object) -> str:
    if not is_step(step):
        if isinstance(step, Mapping):
            raise NextMistake("self.next with a dict needs condition='<artifact>'.")
        raise NextMistake(f"self.next takes steps: {WRITE}, without parentheses.")
    return str(getattr(step, "__name__", ""))


def _switch(flow: FlowSpec, steps: Sequence[object], condition: str) -> Transition:
    if len(steps) != 1 or not isinstance(steps[0], Mapping) or not steps[0]:
        raise NextMistake(
            "condition= chooses among the steps of a dict: write"
            " self.next({value: self.<step>, …}, condition='<artifact>')."
        )
    cases = steps[0]
    value = getattr(flow, condition)
    try:
        is_known = value in cases
    except TypeError:  # a list, say: no key of a dict
        is_known = False
    if not is_known:
        known = ", ".join(map(repr, cases))
        raise ValueMistake(
            f"Condition {condition!r} has the value {value!r}, and there is no case for it; there"
            f" are: {known}. Add the case, or set the artifact to one of them."
        )
    return Transition((_name(cases[value]),))


def _foreach(flow: FlowSpec, names: tuple[str, ...], artifact: str) -> Transition:
    value = getattr(flow, artifact)
    if not isinstance(value, Iterable) or getattr(value, "shape", None) == ():
        raise ValueMistake(
            f"foreach={artifact!r}: self.{artifact} is a {type(value).__name__}, which has no"
            " items: set it to a list."
        )
    if isinstance(value, Iterator):  # its items come once, and no encoder takes it
        value = list(value)
        setattr(flow, artifact, value)
    items = None if _has_lasting_positions(value) else list(value)
    splits = len(value if items is None else items)
    if splits == 0:
        raise ValueMistake(
            f"foreach={artifact!r}: self.{artifact} is empty, so there is nothing to run for each"
            " of. Go around the foreach with a condition, or give it an item."
        )
    return Transition(names, splits, items)


def _has_lasting_positions(value: object) -> bool:
    """Whether another process finds the same item at the same index of the stored value."""
    is_array = type(value).__module__ == "numpy" and type(value).__name__ == "ndarray"
    return isinstance(value, Sequence) or is_array


def _size_of_gang(num_parallel: object) -> int:
    if isinstance(num_parallel, bool) or not isinstance(num_parallel, int) or num_parallel < 1:
        raise ValueMistake(f"num_parallel= takes a number of tasks from 1, not {num_parallel!r}.")
    return num_parallel
