"""`inputs` of a join: the tasks that lead to it, each with its artifacts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

from eventflow.errors import ArtifactMissing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Input", "Inputs"]


class Input:
    """One task that leads to a join; its artifacts are its attributes, loaded when read."""

    def __init__(self, step: str, artifacts: Mapping[str, object]) -> None:
        self._step = step
        self._artifacts = artifacts

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in {"_step", "_artifacts"}:  # asked by copy and pickle
            raise AttributeError(name)
        names = frozenset(self._artifacts)
        if name not in names:
            there = ", ".join(sorted(names)) or "nothing"
            raise ArtifactMissing(f"Step {self._step!r} has no artifact {name!r}. It has: {there}.")
        return self._artifacts[name]

    def __repr__(self) -> str:
        return f"Input({self._step!r})"


class Inputs(Sequence[Input]):
    """The inputs of a join in the order of the graph: `inputs[0]`, `inputs.<step>`, or a loop."""

    def __init__(self, inputs: Iterable[Input]) -> None:
        self._inputs = tuple(inputs)

    @overload
    def __getitem__(self, index: int) -> Input: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Input]: ...

    def __getitem__(self, index: int | slice) -> Input | Sequence[Input]:
        return self._inputs[index]

    def __len__(self) -> int:
        return len(self._inputs)

    def __getattr__(self, step: str) -> Input:
        if step.startswith("_"):  # no step is called so; asked by copy and pickle
            raise AttributeError(step)
        for each in self._inputs:
            if each._step == step:
                return each
        steps = ", ".join(each._step for each in self._inputs)
        raise ArtifactMissing(f"No step {step!r} leads to this join; these do: {steps}.")

    def __repr__(self) -> str:
        return f"Inputs({', '.join(each._step for each in self._inputs)})"
