"""What the flows of the matrix do besides following their graph: lines for their steps.

All of it stands in one flow for each graph, so that a run shows many things at once. Each piece
has artifacts of its own; `checks` says what they have to be after the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.matrix.shapes import Node, Shape

__all__ = ["FEATURES", "PARAMETERS", "Feature", "source"]

PARAMETERS: Mapping[str, tuple[str, object]] = {
    "text": ("two words", "two words"),
    "whole": ("-7", -7),
    "ratio": ("0.5", 0.5),
    "flag": ("true", True),
    "plain": ('{"a": [1, null]}', {"a": [1, None]}),
}
"""Each parameter of the flows: what the command line is given, and the value that it is."""


@dataclass(frozen=True)
class Feature:
    """Lines by where they stand: of the module, of the class, of every step, of the first one, of
    `work`, of `after`, and of joins before their merge. `decorators` stand on steps by name;
    `differing` are artifacts that inputs differ in, on purpose."""

    module: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    every: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    work: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    join: tuple[str, ...] = ()
    decorators: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    differing: tuple[str, ...] = ()


_HEAD = '''
import os, random, signal, sys, time
from pathlib import Path

from eventflow import FlowSpec, JSONType, Parameter, catch, current, retry, step, timeout


class Noting:
    """A mixin: not a flow, and yet its members are members of the flow."""

    MIXED_IN = "from the mixin"

    folder = Parameter("folder", required=True)
    fails = Parameter("fails", default=False)

    def here(self):
        return f"{current.step_name}/{current.task_id}"

    def visit(self, what):
        """How often this task has come here, in whichever process; counts from 1."""
        file = Path(self.folder, f"{what} {self.here().replace('/', ' ')}")
        with file.open("a") as notes:
            notes.write("x")
        return file.stat().st_size

    def note(self):
        with Path(self.folder, "ran").open("a") as notes:
            notes.write(self.here() + "\\n")
'''

ARTIFACTS = Feature(
    first=(
        'self.word = "begun"',
        'self.words = ["begun"]',
        "self.big = random.Random(7).randbytes(300_000)",
        "self.none, self.start_of = None, {'a': 1}",
        "self.as_big = bytes(self.big)",
    ),
    work=(
        'self.read = self.word if hasattr(self, "word") else "nothing"',
        "self.words.append(self.here())",
        "self.big_seen = len(self.big)",
        "self.results = [self.here()]",
    ),
    join=(
        "self.words = ['joined']",
        "self.results = [one for each in inputs for one in getattr(each, 'results', [])]",
    ),
    differing=("read", "words", "results", "big_seen"),
)
STACK = Feature(
    work=(
        "self.stack = self.foreach_stack()",
        "self.at = (self.index, self.input)",
    ),
    join=("self.around = (self.index, self.input)",),
    differing=("stack", "at", "pair", "around"),
)
JOINS = Feature(
    join=(
        "self.order = [(each._step, each.index) for each in inputs]",
        "self.first_by_index = inputs[0].here_at",
        "self.last_by_index = inputs[-1].here_at",
        "self.first_by_name = getattr(inputs, inputs[0]._step).here_at",
        "self.count = len(inputs)",
    ),
    every=("self.here_at = self.here()",),
    differing=("order", "here_at", "first_by_index", "last_by_index", "first_by_name", "count"),
)
MERGING = Feature(
    first=("self.agreed = {'the': 'same'}", "self.left_out = 1"),
    work=("self.own = self.here()", "self.agreed['the'] = 'same'"),
    after=("self.own = self.here()",),
    join=(
        "self.refused = {}",
        "try:",
        "    self.merge_artifacts(inputs)",
        "except Exception as error:",
        "    self.refused['all'] = (type(error).__name__, tuple(error.artifact_names))",
        "try:",
        "    self.merge_artifacts(inputs, include=['agreed', 'nowhere'])",
        "except Exception as error:",
        "    self.refused['missing'] = (type(error).__name__, tuple(error.artifact_names))",
        "try:",
        "    self.merge_artifacts(inputs, include=['agreed'], exclude=['own'])",
        "except Exception as error:",
        "    self.refused['both'] = (type(error).__name__, ())",
    ),
    differing=("own", "refused", "left_out"),
)
PARAMETERS_OF_ALL_TYPES = Feature(
    members=(
        'text = Parameter("text", default="no words")',
        'whole = Parameter("whole", type=int, required=True)',
        'ratio = Parameter("ratio", default=1.5)',
        'flag = Parameter("flag", default=False)',
        'plain = Parameter("plain", type=JSONType, default=[])',
        'computed = Parameter("computed", default=lambda context: context.flow_name)',
        'unset = Parameter("unset", type=int)',
    ),
    every=("self.given = [self.text, self.whole, self.ratio, self.flag, self.plain]",),
    work=("self.others = [self.computed, self.unset]",),
)
CONSTANTS = Feature(
    members=('CONSTANT = {"limit": 3}', 'OVERRIDDEN = "by the flow"'),
    work=(
        "self.constants = [self.CONSTANT, self.MIXED_IN, self.OVERRIDDEN]",
        "try:",
        "    setattr(self, 'CONSTANT', 1)",
        "except AttributeError as error:",
        "    self.refusal = str(error)",
        "try:",
        "    setattr(self, 'text', 'other')",
        "except AttributeError as error:",
        "    self.refusal_of_parameter = str(error)",
    ),
)
MISSING = Feature(
    work=(
        "try:",
        "    self.nowhere",
        "except AttributeError as error:",
        "    self.missing = str(error)",
    ),
    differing=("missing",),
)
LOGS = Feature(
    every=(
        "print('out', self.here(), current.retry_count)",
        "print('err', self.here(), current.retry_count, file=sys.stderr)",
    ),
)
RETRY = Feature(
    work=(
        "self.visits = self.visit('retry')",
        "if self.visits == 1:",
        "    raise ValueError('first ' + self.here())",
        "if self.visits == 2:",
        "    os.kill(os.getpid(), signal.SIGKILL)",
        "self.attempt = current.retry_count",
    ),
    decorators={"work": ("@retry(times=2, minutes_between_retries=0)",)},
    differing=("visits", "attempt"),
)
CATCH = Feature(
    after=(
        "self.before_failure = self.here()",
        "if current.task_id[-1] != '1':",
        "    raise KeyError('caught ' + self.here())",
        "self.behind_failure = self.here()",
    ),
    decorators={"after": ("@catch(var='caught')",)},
    differing=("before_failure", "behind_failure", "caught"),
)
FAILING = Feature(
    work=(
        "self.note()",
        "if self.fails and not Path(self.folder, 'mended').exists() and self.is_last():",
        "    raise RuntimeError('for good')",
    ),
    members=(
        "def is_last(self):",
        "    return all(index == count - 1 for index, count, _ in self.foreach_stack())",
    ),
    every=("if current.step_name != 'work':", "    self.note()"),
)

FEATURES = (
    LOGS,
    ARTIFACTS,
    STACK,
    PARAMETERS_OF_ALL_TYPES,
    CONSTANTS,
    MISSING,
    JOINS,
    MERGING,
    RETRY,
    FAILING,
    CATCH,
)
_INDENT = " " * 4


def source(shape: Shape, features: tuple[Feature, ...] = FEATURES) -> str:
    """The file of a flow of that graph with those features; the flow is called `Matrix`.

    Its last step stands in a base class: steps are inherited.
    """
    *nodes, last = shape.nodes
    members = [f"{_INDENT}{line}" for feature in features for line in feature.members]
    base = ["class Base(FlowSpec):", f'{_INDENT}OVERRIDDEN = "by the base"', ""]
    flow = ["class Matrix(Noting, Base):", *members, ""]
    module = [line for feature in features for line in feature.module]
    return "\n".join(
        [
            _HEAD,
            *module,
            "",
            *base,
            *_step(shape, last, features),
            "",
            *flow,
            *(line for node in nodes for line in _step(shape, node, features)),
            "",
            'if __name__ == "__main__":',
            f"{_INDENT}Matrix()",
            "",
        ]
    )


def _step(shape: Shape, node: Node, features: tuple[Feature, ...]) -> list[str]:
    decorators = [line for each in features for line in each.decorators.get(node.name, ())]
    head = f"def {node.name}(self{', inputs' if node.joins else ''}):"
    body = [*node.first, *_lines(shape, node, features), *_merge(node, features), *node.last]
    leave = [f"self.next({node.next})"] if node.next else []
    lines = [*decorators, node.mark, head, *(f"{_INDENT}{line}" for line in [*body, *leave])]
    return [*(f"{_INDENT}{line}" for line in lines), ""]


def _lines(shape: Shape, node: Node, features: tuple[Feature, ...]) -> list[str]:
    lines: list[str] = []
    for each in features:
        lines += each.every
        lines += each.first if node.name == shape.start else ()
        lines += each.work if node.name == "work" else ()
        lines += each.after if node.name == "after" else ()
        lines += each.join if node.joins else ()
    return lines or ["pass"]


def _merge(node: Node, features: tuple[Feature, ...]) -> list[str]:
    if not node.joins:
        return []
    differing = [name for each in features for name in each.differing]
    return [
        f"self.merge_artifacts(inputs, exclude={[*differing, 'joined_by']})",
        "self.joined_by = self.here()",
    ]
