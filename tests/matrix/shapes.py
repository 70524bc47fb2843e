"""The graphs of the matrix: the steps of each, and the tasks that a run of it has.

In each a step `work` does what is looked at, and where there is room a step `after` follows it,
or runs beside it. `tasks` has what Metaflow's users would count by hand; nothing here asks the
engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["SHAPES", "Level", "Node", "Shape"]

Level = tuple[int, int, str | None]
"""Index, number of items, item: a level of `foreach_stack()`."""


@dataclass(frozen=True)
class Node:
    """A step. `first` are lines at its beginning, `last` right before its `self.next(…)`."""

    name: str
    next: str = ""
    joins: bool = False
    first: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
    mark: str = "@step"


@dataclass(frozen=True)
class Shape:
    """A graph. `tasks`: the ids of the tasks of each step, in the order of the graph; `stacks`:
    the levels of foreach around each task of `work`; `inputs`: what each task of a join takes;
    `results`: of which tasks of `work` the last step has the results, where it has any."""

    name: str
    nodes: tuple[Node, ...]
    tasks: Mapping[str, tuple[str, ...]]
    stacks: Mapping[str, tuple[Level, ...]] = field(default_factory=dict)
    inputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    results: tuple[str, ...] = ()

    @property
    def start(self) -> str:
        """The name of its first step."""
        return self.nodes[0].name

    @property
    def end(self) -> str:
        """The name of its last step."""
        return self.nodes[-1].name

    @property
    def joins(self) -> tuple[str, ...]:
        """The names of its joins."""
        return tuple(node.name for node in self.nodes if node.joins)

    @property
    def has_after(self) -> bool:
        """Whether there is a step `after`."""
        return "after" in self.tasks


_ROOT = ("0",)
_END = Node("end")
_THREE = ('self.letters = ["a", "b", "c"]',)
_LEVELS: tuple[Level, ...] = ((0, 3, "a"), (1, 3, "b"), (2, 3, "c"))
_COUNT = ('self.rounds = getattr(self, "rounds", 0) + 1',)
_CHOOSE = ('self.go = "again" if self.rounds < 3 else "on"',)

LINEAR = Shape(
    "linear",
    (
        Node("start", "self.work"),
        Node("work", "self.after"),
        Node("after", "self.end"),
        _END,
    ),
    dict.fromkeys(("start", "work", "after", "end"), _ROOT),
)
BRANCH = Shape(
    "branch",
    (
        Node("start", "self.work, self.after"),
        Node("work", "self.join"),
        Node("after", "self.join"),
        Node("join", "self.end", joins=True),
        _END,
    ),
    dict.fromkeys(("start", "work", "after", "join", "end"), _ROOT),
    inputs={"join/0": ("work/0", "after/0")},
    results=_ROOT,
)
FOREACH = Shape(
    "foreach",
    (
        Node("start", 'self.work, foreach="letters"', first=_THREE),
        Node("work", "self.after"),
        Node("after", "self.join"),
        Node("join", "self.end", joins=True),
        _END,
    ),
    {
        "start": _ROOT,
        "work": ("0-0", "0-1", "0-2"),
        "after": ("0-0", "0-1", "0-2"),
        "join": _ROOT,
        "end": _ROOT,
    },
    {f"0-{level[0]}": (level,) for level in _LEVELS},
    {"join/0": ("after/0-0", "after/0-1", "after/0-2")},
    ("0-0", "0-1", "0-2"),
)
_INNER = ("0-0-0", "0-0-1", "0-1-0", "0-1-1", "0-2-0", "0-2-1")
NESTED = Shape(
    "nested",
    (
        Node("start", 'self.inner, foreach="letters"', first=_THREE),
        Node(
            "inner",
            'self.work, foreach="pair"',
            first=("self.pair = (self.input + '1', self.input + '2')",),
        ),
        Node("work", "self.after"),
        Node("after", "self.gather"),
        Node("gather", "self.join", joins=True),
        Node("join", "self.end", joins=True),
        _END,
    ),
    {
        "start": _ROOT,
        "inner": ("0-0", "0-1", "0-2"),
        "work": _INNER,
        "after": _INNER,
        "gather": ("0-0", "0-1", "0-2"),
        "join": _ROOT,
        "end": _ROOT,
    },
    {
        f"0-{index}-{n}": ((index, 3, letter), (n, 2, f"{letter}{n + 1}"))
        for index, _, letter in _LEVELS
        for n in (0, 1)
    },
    {
        **{f"gather/0-{n}": (f"after/0-{n}-0", f"after/0-{n}-1") for n in range(3)},
        "join/0": ("gather/0-0", "gather/0-1", "gather/0-2"),
    },
    _INNER,
)
BRANCH_IN_FOREACH = Shape(
    "branch_in_foreach",
    (
        Node("start", 'self.item, foreach="letters"', first=_THREE),
        Node("item", "self.work, self.after"),
        Node("work", "self.gather"),
        Node("after", "self.gather"),
        Node("gather", "self.join", joins=True),
        Node("join", "self.end", joins=True),
        _END,
    ),
    {
        "start": _ROOT,
        **dict.fromkeys(("item", "work", "after", "gather"), ("0-0", "0-1", "0-2")),
        "join": _ROOT,
        "end": _ROOT,
    },
    {f"0-{level[0]}": (level,) for level in _LEVELS},
    {
        **{f"gather/0-{n}": (f"work/0-{n}", f"after/0-{n}") for n in range(3)},
        "join/0": ("gather/0-0", "gather/0-1", "gather/0-2"),
    },
    ("0-0", "0-1", "0-2"),
)
SWITCH = Shape(
    "switch",
    (
        Node("start", "self.choose"),
        Node(
            "choose",
            '{"left": self.work, "right": self.never}, condition="side"',
            first=('self.side = "left"',),
        ),
        Node("work", "self.after"),
        Node("never", "self.after"),
        Node("after", "self.end"),
        _END,
    ),
    {**dict.fromkeys(("start", "choose", "work", "after", "end"), _ROOT), "never": ()},
)
LOOP = Shape(
    "loop",
    (
        Node("start", "self.work"),
        Node("work", "self.after", first=_COUNT),
        Node("after", "self.again"),
        Node("again", '{"again": self.work, "on": self.end}, condition="go"', first=_CHOOSE),
        _END,
    ),
    {
        "start": _ROOT,
        **dict.fromkeys(("work", "after", "again"), ("0", "0.1", "0.2")),
        "end": _ROOT,
    },
)
_ROUNDS = tuple(f"{turn}-{index}" for turn in ("0", "0.1", "0.2") for index in (0, 1, 2))
LOOP_AROUND_FOREACH = Shape(
    "loop_around_foreach",
    (
        Node("start", "self.turn", first=_THREE),
        Node("turn", 'self.work, foreach="letters"', first=_COUNT),
        Node("work", "self.after"),
        Node("after", "self.join"),
        Node(
            "join",
            '{"again": self.turn, "on": self.end}, condition="go"',
            joins=True,
            last=_CHOOSE,
        ),
        _END,
    ),
    {
        "start": _ROOT,
        "turn": ("0", "0.1", "0.2"),
        "work": _ROUNDS,
        "after": _ROUNDS,
        "join": ("0", "0.1", "0.2"),
        "end": _ROOT,
    },
    {task: (_LEVELS[int(task[-1])],) for task in _ROUNDS},
    {
        f"join/{turn}": tuple(f"after/{turn}-{index}" for index in range(3))
        for turn in ("0", "0.1", "0.2")
    },
    _ROUNDS[-3:],
)
GANG = Shape(
    "gang",
    (
        Node("start", "self.work, num_parallel=3"),
        Node("work", "self.after"),
        Node("after", "self.join"),
        Node("join", "self.end", joins=True),
        _END,
    ),
    {
        "start": _ROOT,
        "work": ("0-0", "0-1", "0-2"),
        "after": ("0-0", "0-1", "0-2"),
        "join": _ROOT,
        "end": _ROOT,
    },
    {f"0-{index}": ((index, 3, None),) for index in range(3)},
    {"join/0": ("after/0-0", "after/0-1", "after/0-2")},
    ("0-0", "0-1", "0-2"),
)
SINGLE = Shape("single", (Node("work"),), {"work": _ROOT})
NAMED_ENDS = Shape(
    "named_ends",
    (
        Node("open_up", "self.work", mark="@step(start=True)"),
        Node("work", "self.after"),
        Node("after", "self.close_down"),
        Node("close_down", mark="@step(end=True)"),
    ),
    dict.fromkeys(("open_up", "work", "after", "close_down"), _ROOT),
)

SHAPES = (
    LINEAR,
    BRANCH,
    FOREACH,
    NESTED,
    BRANCH_IN_FOREACH,
    SWITCH,
    LOOP,
    LOOP_AROUND_FOREACH,
    GANG,
    SINGLE,
    NAMED_ENDS,
)
