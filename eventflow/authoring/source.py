"""A flow as its author wrote it: its steps and their `self.next(…)`, read from the source.

Nothing of the flow is called. A step is found by its code object, so each has its own file and
line, also when it comes from a base class or a mixin of another file.
"""

from __future__ import annotations

import ast
import inspect
import json
import linecache
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from eventflow.authoring.members import steps_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import CodeType

__all__ = [
    "NextCall",
    "Place",
    "StepSource",
    "place_of_assignment",
    "place_of_attribute",
    "place_of_class",
    "read_steps",
]

Place: TypeAlias = tuple[str, int]
_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class NextCall:
    """One `self.next(…)`. `targets` has the step of each argument, None for one that is not
    written `self.<step>`; `written` each as it stands. Of a single argument that is a dict they
    are its values, and `cases` its keys, as JSON text where they are constants; otherwise `cases`
    is None. `options` has the keywords: the value where it is a constant, None otherwise."""

    line: int
    targets: tuple[str | None, ...]
    written: tuple[str, ...]
    options: Mapping[str, object]
    is_last: bool
    cases: tuple[str, ...] | None = None

    def option(self, name: str) -> str | None:
        """What a keyword says, where it is written as a string."""
        value = self.options.get(name)
        return value if isinstance(value, str) else None


@dataclass(frozen=True, slots=True)
class StepSource:
    """One step. `arguments` as written, None when there is no source to read; `assigned` are the
    attributes of `self` that it sets or deletes, with the line."""

    name: str
    file: str
    line: int
    doc: str
    arguments: tuple[str, ...] | None
    is_plain: bool = True
    next_calls: tuple[NextCall, ...] = ()
    assigned: tuple[tuple[str, int], ...] = ()

    @property
    def takes_inputs(self) -> bool:
        """Whether it is written as a join: `def step(self, inputs)`."""
        return self.arguments is not None and len(self.arguments) == 2

    @property
    def next_steps(self) -> tuple[str, ...]:
        """The steps that it names, in the order written."""
        return tuple(
            target for call in self.next_calls for target in call.targets if target is not None
        )


def read_steps(flow_class: type) -> tuple[StepSource, ...]:
    """The steps of a flow, in the order written, those of base classes first."""
    return tuple(_read(name, function) for name, function in steps_of(flow_class).items())


def place_of_class(flow_class: type) -> Place:
    """The file and line at which a class is written; line 0 when it cannot be found."""
    node, file = _class_node(flow_class)
    return file, node.lineno if node else 0


def place_of_attribute(flow_class: type, name: str) -> Place:
    """The file and line at which an attribute of a class is set, in the base class that sets it."""
    base = next((each for each in flow_class.__mro__ if name in vars(each)), flow_class)
    node, file = _class_node(base)
    for statement in node.body if node else ():
        if isinstance(statement, ast.Assign | ast.AnnAssign) and name in _names(statement):
            return file, statement.lineno
    return place_of_class(base)


def place_of_assignment(flow_class: type, step: str, artifact: str) -> Place | None:
    """The file and line at which a step sets an artifact last; None when that is not written."""
    function = steps_of(flow_class).get(step)
    source = _read(step, function) if function is not None else None
    lines = [line for name, line in source.assigned if name == artifact] if source else []
    return (source.file, max(lines)) if source and lines else None


def _read(name: str, function: object) -> StepSource:
    code: CodeType = inspect.unwrap(function).__code__  # type: ignore[arg-type]
    doc = inspect.getdoc(function) or ""
    node = _function_node(code)
    if node is None:
        return StepSource(name, code.co_filename, code.co_firstlineno, doc, arguments=None)
    arguments = tuple(each.arg for each in (*node.args.posonlyargs, *node.args.args))
    own_self = arguments[0] if arguments else ""
    return StepSource(
        name=name,
        file=code.co_filename,
        line=node.lineno,
        doc=doc,
        arguments=arguments,
        is_plain=_is_plain(node),
        next_calls=tuple(_next_calls(node, own_self)),
        assigned=tuple(_assigned(node, own_self)),
    )


def _is_plain(node: _Function) -> bool:
    """Whether it is no coroutine, no generator, and takes positional arguments only."""
    args = node.args
    is_odd = args.vararg or args.kwarg or args.kwonlyargs or args.defaults
    return isinstance(node, ast.FunctionDef) and not is_odd and not _yields(node)


def _yields(node: _Function) -> bool:
    inner = list(ast.iter_child_nodes(node))
    while inner:
        each = inner.pop()
        if isinstance(each, ast.Yield | ast.YieldFrom):
            return True
        if not isinstance(each, _Function | ast.Lambda | ast.ClassDef):
            inner.extend(ast.iter_child_nodes(each))
    return False


def _next_calls(node: _Function, own_self: str) -> Iterator[NextCall]:
    last = node.body[-1]
    last_value = last.value if isinstance(last, ast.Expr) else None
    calls = [each for each in ast.walk(node) if isinstance(each, ast.Call)]
    for call in sorted(calls, key=lambda each: (each.lineno, each.col_offset)):
        if _own_attribute(call.func, own_self) == "next":
            cases = _cases(call)
            arguments = call.args if cases is None else call.args[0].values  # type: ignore[attr-defined]
            yield NextCall(
                line=call.lineno,
                targets=tuple(_own_attribute(each, own_self) for each in arguments),
                written=tuple(ast.unparse(each) for each in arguments),
                options={each.arg or "**": _constant(each.value) for each in call.keywords},
                is_last=call is last_value,
                cases=cases,
            )


def _cases(call: ast.Call) -> tuple[str, ...] | None:
    match call.args:
        case [ast.Dict(keys=keys)]:
            return tuple(_case(key) for key in keys)
    return None


def _case(key: ast.expr | None) -> str:
    if isinstance(key, ast.Constant) and isinstance(key.value, str | int | float | bool | None):
        return json.dumps(key.value)
    return json.dumps("**" if key is None else ast.unparse(key))


def _constant(value: ast.expr) -> object:
    return value.value if isinstance(value, ast.Constant) else None


def _assigned(node: _Function, own_self: str) -> Iterator[tuple[str, int]]:
    for each in ast.walk(node):
        if isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store | ast.Del):
            name = _own_attribute(each, own_self)
            if name is not None:
                yield name, each.lineno


def _own_attribute(node: ast.expr, own_self: str) -> str | None:
    """`x` of `self.x`."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return node.attr if node.value.id == own_self else None
    return None


def _function_node(code: CodeType) -> _Function | None:
    where = (code.co_name, code.co_firstlineno)
    for node in ast.walk(_tree("".join(linecache.getlines(code.co_filename)))):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if (node.name, _first_line(node)) == where:
            return node
    return None


def _class_node(flow_class: type) -> tuple[ast.ClassDef | None, str]:
    try:
        file = inspect.getsourcefile(flow_class) or "<unknown>"
        _, line = inspect.getsourcelines(flow_class)
    except (OSError, TypeError):  # made without a file: typed into a console, by `type(…)`
        return None, "<unknown>"
    for node in ast.walk(_tree("".join(linecache.getlines(file)))):
        if isinstance(node, ast.ClassDef) and _first_line(node) == line:
            return node, file
    return None, file


def _first_line(node: _Function | ast.ClassDef) -> int:
    return min([node.lineno, *(each.lineno for each in node.decorator_list)])


def _names(statement: ast.Assign | ast.AnnAssign) -> set[str]:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    return {each.id for each in targets if isinstance(each, ast.Name)}


@lru_cache(maxsize=32)
def _tree(text: str) -> ast.Module:
    return ast.parse(text)
