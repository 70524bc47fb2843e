"""Flows drawn at random, well-formed by how they are made, and how often each step of one runs.

A flow is a block: steps and constructs one after the other. Each construct has blocks inside, and
is told how a run goes through it: how many items, which case, how many rounds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from hypothesis import strategies as st

__all__ = ["Block", "Choice", "DrawnFlow", "Fan", "Loop", "Plain", "Split", "drawn_flows"]


@dataclass(frozen=True)
class Plain:
    """One step."""


@dataclass(frozen=True)
class Split:
    """Branches side by side."""

    branches: tuple[Block, ...]


@dataclass(frozen=True)
class Fan:
    """A foreach, or a gang, over so many items."""

    body: Block
    width: int
    is_gang: bool


@dataclass(frozen=True)
class Choice:
    """A switch whose cases meet again; an empty case leads on. `taken` is the case of a run."""

    cases: tuple[Block, ...]
    taken: int


@dataclass(frozen=True)
class Loop:
    """Its body, so many rounds of it."""

    body: Block
    rounds: int


Block = tuple["Plain | Split | Fan | Choice | Loop", ...]


@dataclass
class DrawnFlow:
    """The source of the flow `F` that a block is, and how a run of it goes.

    `widths`, `taken` and `rounds` are by the name of the step that asks; `times` says how many
    tasks each step has.
    """

    block: Block
    widths: dict[str, int] = field(default_factory=dict)
    taken: dict[str, str] = field(default_factory=dict)
    rounds: dict[str, int] = field(default_factory=dict)
    times: Counter[str] = field(default_factory=Counter)
    _steps: list[str] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self._step("end", "pass", 1)
        entry = self._render(self.block, "end", 1)
        self._step("start", f"self.next(self.{entry})", 1)

    @property
    def source(self) -> str:
        """The class, without imports."""
        return "class F(FlowSpec):\n" + "\n".join(self._steps)

    def _name(self, kind: str) -> str:
        return f"{kind}_{next(self._numbers)}"

    def _step(self, name: str, line: str, times: int, *, joins: bool = False) -> str:
        given = "self, inputs" if joins else "self"
        self._steps.append(f"    @step\n    def {name}({given}):\n        {line}\n")
        self.times[name] = times
        return name

    def _render(self, block: Block, following: str, times: int) -> str:
        """Write the steps of a block that leads to `following`; the first of them."""
        for part in reversed(block):
            match part:
                case Plain():
                    line = f"self.next(self.{following})"
                    following = self._step(self._name("plain"), line, times)
                case Split():
                    following = self._split(part, following, times)
                case Fan():
                    following = self._fan(part, following, times)
                case Choice():
                    following = self._choice(part, following, times)
                case Loop():
                    following = self._loop(part, following, times)
        return following

    def _split(self, part: Split, following: str, times: int) -> str:
        join = self._step(self._name("join"), f"self.next(self.{following})", times, joins=True)
        entries = [self._render(branch, join, times) for branch in part.branches]
        line = f"self.next({', '.join(f'self.{each}' for each in entries)})"
        return self._step(self._name("split"), line, times)

    def _fan(self, part: Fan, following: str, times: int) -> str:
        join = self._step(self._name("join"), f"self.next(self.{following})", times, joins=True)
        entry = self._render(part.body, join, times * part.width)
        how = f"num_parallel={part.width}" if part.is_gang else "foreach='items'"
        name = self._step(self._name("fan"), f"self.next(self.{entry}, {how})", times)
        self.widths[name] = part.width
        return name

    def _choice(self, part: Choice, following: str, times: int) -> str:
        entries = [
            self._render(case, following, times if number == part.taken else 0)
            for number, case in enumerate(part.cases)
        ]
        name = self._switch("choice", entries, times)
        self.taken[name] = entries[part.taken]
        return name

    def _loop(self, part: Loop, following: str, times: int) -> str:
        again = self._name("again")
        entry = self._render(part.body, again, times * part.rounds)
        line = f"self.next({{0: self.{entry}, 1: self.{following}}}, condition='way')"
        self._step(again, line, times * part.rounds)
        self.rounds[again] = part.rounds
        return entry

    def _switch(self, kind: str, entries: list[str], times: int) -> str:
        cases = ", ".join(f"{number}: self.{each}" for number, each in enumerate(entries))
        return self._step(self._name(kind), f"self.next({{{cases}}}, condition='way')", times)


def _blocks(parts: st.SearchStrategy[object]) -> st.SearchStrategy[Block]:
    return st.lists(parts, min_size=1, max_size=3).map(tuple)  # type: ignore[arg-type]


def _constructs(inside: st.SearchStrategy[Block]) -> st.SearchStrategy[object]:
    cases = st.lists(inside | st.just(()), min_size=2, max_size=3).map(tuple)
    return st.one_of(
        st.just(Plain()),
        st.builds(Split, st.lists(inside, min_size=2, max_size=3).map(tuple)),
        st.builds(Fan, inside, st.integers(1, 3), st.booleans()),
        cases.flatmap(lambda each: st.builds(Choice, st.just(each), st.integers(0, len(each) - 1))),
        st.builds(Loop, inside, st.integers(1, 3)),
    )


_BLOCKS = st.recursive(
    _blocks(st.just(Plain())), lambda inside: _blocks(_constructs(inside)), max_leaves=8
)
drawn_flows = st.builds(DrawnFlow, _BLOCKS)
"""Flows, each with at least one step between its first and its last."""
