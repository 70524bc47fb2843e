"""What a task reads from the tasks before it: `inputs` of a join, and the levels of a foreach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, overload

from eventflow.errors import ArtifactMissing, ArtifactReadOnly, InputMissing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Input", "Inputs", "Level", "Versions"]


class Versions(Protocol):
    """The artifacts of a task by name, each loaded when it is asked for."""

    def __getitem__(self, name: str, /) -> object: ...

    def __contains__(self, name: object, /) -> bool: ...

    def __iter__(self) -> Iterator[str]: ...

    def version(self, name: str, /) -> str:
        """What tells its value from others, without loading it: equal ones are the same."""


@dataclass(frozen=True, slots=True)
class Level:
    """One level of the foreach that a task is in: which item, of how many, and the item."""

    index: int
    count: int
    load: Callable[[], object]


class Input:
    """One task that leads to a join; its artifacts are its attributes, loaded when read.

    `index` and `input` are those of the innermost foreach that the task is in, else None.
    """

    _step: str
    _artifacts: Versions
    _levels: Sequence[Level]

    def __init__(self, step: str, artifacts: Versions, levels: Sequence[Level] = ()) -> None:
        vars(self).update(_step=step, _artifacts=artifacts, _levels=levels)

    @property
    def index(self) -> int | None:
        """Which item of its foreach the task was for."""
        return self._levels[-1].index if self._levels else None

    @property
    def input(self) -> Any:
        """The item of its foreach that the task was for."""
        return self._levels[-1].load() if self._levels else None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in {"_step", "_artifacts", "_levels"}:
            raise AttributeError(name)  # asked by copy and pickle
        if name not in self._artifacts:
            there = ", ".join(sorted(self._artifacts)) or "nothing"
            raise ArtifactMissing(f"Step {self._step!r} has no artifact {name!r}. It has: {there}.")
        return self._artifacts[name]

    def __setattr__(self, name: str, value: object) -> None:
        raise ArtifactReadOnly(
            f"{name!r} of an input cannot be set: what the task of {self._step!r} has left stays."
            f" Set self.{name} in the join."
        )

    def __repr__(self) -> str:
        return f"Input({self._step!r})"


class Inputs(Sequence[Input]):
    """The inputs of a join in the order of the graph: `inputs[0]`, `inputs.<step>`, or a loop.

    Each is read from the store when it is asked for, and not kept when there are many.
    """

    def __init__(self, steps: Sequence[str], read: Callable[[int], Input]) -> None:
        """`steps` are those of the tasks, `read` gives the input of that number."""
        self._steps, self._read = steps, read

    @overload
    def __getitem__(self, index: int) -> Input: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Input]: ...

    def __getitem__(self, index: int | slice) -> Input | Sequence[Input]:
        try:
            numbers = range(len(self._steps))[index]
        except (IndexError, TypeError):
            raise InputMissing(
                f"{len(self._steps)} tasks lead to this join: there is no inputs[{index!r}]. They"
                " count from 0; one of a step is inputs.<step>."
            ) from None
        return self._read(numbers) if isinstance(numbers, int) else [*map(self._read, numbers)]

    def __len__(self) -> int:
        return len(self._steps)

    def __getattr__(self, step: str) -> Input:
        if step.startswith("_"):  # no step is called so; asked by copy and pickle
            raise AttributeError(step)
        if step in self._steps:
            return self._read(self._steps.index(step))
        steps = ", ".join(dict.fromkeys(self._steps))
        raise ArtifactMissing(f"No step {step!r} leads to this join; these do: {steps}.")

    def __repr__(self) -> str:
        return f"Inputs({', '.join(dict.fromkeys(self._steps))})"
