"""`@pypi` and `@pypi_base`: the packages that steps run with.

What the step says is added to what the flow says; of two words about one package, the Python, or
`disabled`, that of the step counts.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar, overload

from eventflow.authoring.configs import resolved
from eventflow.authoring.members import class_attribute
from eventflow.authoring.misuse import checked
from eventflow.errors import FlowProblem
from eventflow.model.policy import Packages
from eventflow.model.requirement import canonical_name, is_package_name, is_python, is_version

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eventflow.authoring.source import Place, StepSource

__all__ = ["packages_of", "pypi", "pypi_base", "pypi_problems"]

_ATTRIBUTE = "__eventflow_pypi__"
_OURSELVES = "eventflow"
_ON_A_STEP = "@pypi stands on a step of a flow; for all of its steps there is @pypi_base."
_ON_A_FLOW = "@pypi_base stands on a flow; for one step there is @pypi."
Method = TypeVar("Method", bound=Callable[..., Any])
Flow = TypeVar("Flow", bound=type)


@dataclass(frozen=True, slots=True)
class _Said:
    """What one decorator says, as it was written."""

    packages: Any
    python: Any
    disabled: Any
    place: Place
    is_repeated: bool = False


@overload
def pypi(method: Method, /) -> Method: ...


@overload
def pypi(
    *,
    packages: Mapping[str, str] | None = None,
    python: str | None = None,
    disabled: bool | None = None,
) -> Callable[[Method], Method]: ...


@checked(_ON_A_STEP, of_flow=False)
def pypi(
    method: Any = None,  # noqa: ARG001 - `checked` decorates it
    /,
    *,
    packages: Mapping[str, str] | None = None,
    python: str | None = None,
    disabled: bool | None = None,
) -> Any:
    """Run a step in an environment of its own, with these packages and no others.

    `packages` are versions by name: `""` for any, `"1.2"` for that one, `">=1,<2"` for the best
    of several. `python` is a version that the machine has, by default the runner's own.
    `disabled` runs the step without an environment, whatever `@pypi_base` says.
    """
    frame = sys._getframe(2)
    said = _Said(packages, python, disabled, (frame.f_code.co_filename, frame.f_lineno))
    return _keep(said)


@checked(_ON_A_FLOW)
def pypi_base(
    flow_class: Any = None,  # noqa: ARG001 - likewise
    /,
    *,
    packages: Mapping[str, str] | None = None,
    python: str | None = None,
    disabled: bool | None = None,
) -> Any:
    """The same for every step of a flow; a step adds to it, or says otherwise, with `@pypi`."""
    frame = sys._getframe(2)
    said = _Said(packages, python, disabled, (frame.f_code.co_filename, frame.f_lineno))
    return _keep(said)


def packages_of(flow_class: type, step_name: str) -> Packages | None:
    """What a step runs with, its own words and those of its flow taken together; None when it has
    no environment of its own. The flow has no `pypi_problems`."""
    own, base = _said_of_step(flow_class, step_name), _said_of_flow(flow_class)
    if own is None and base is None:
        return None
    said = [each for each in (own, base) if each is not None]
    if next((each.disabled for each in said if each.disabled is not None), False):
        return None
    named: dict[str, tuple[str, str]] = {}
    for each in reversed(said):
        named |= {canonical_name(name): (name, of) for name, of in (each.packages or {}).items()}
    python = next((each.python for each in said if each.python is not None), None)
    return Packages(dict(named[each] for each in sorted(named)), python)


def pypi_problems(flow_class: type, steps: Sequence[StepSource]) -> list[FlowProblem]:
    """What is wrong with these decorators."""
    said = {"@pypi_base": _said_of_flow(flow_class)}
    for step in steps:
        said[f"@pypi of step {step.name!r}"] = _said_of_step(flow_class, step.name)
    return [
        FlowProblem(f"{who}: {mistake}", *each.place)
        for who, each in said.items()
        if each is not None
        for mistake in _mistakes(each)
    ]


def _keep(said: _Said) -> Any:
    def decorate(target: Any) -> Any:
        is_repeated = _ATTRIBUTE in vars(target)
        setattr(target, _ATTRIBUTE, replace(said, is_repeated=is_repeated))
        return target

    return decorate


def _said_of_flow(flow_class: type) -> _Said | None:
    return _resolved(flow_class, getattr(flow_class, _ATTRIBUTE, None))


def _said_of_step(flow_class: type, step_name: str) -> _Said | None:
    method = class_attribute(flow_class, step_name)
    return _resolved(flow_class, getattr(method, _ATTRIBUTE, None))


def _resolved(flow_class: type, said: _Said | None) -> _Said | None:
    """With what configurations say in it."""
    found: _Said | None = resolved(flow_class, said)
    return found


def _mistakes(said: _Said) -> Iterator[str]:
    if said.is_repeated:
        yield "it stands there twice: write it once, with all packages."
    if said.disabled not in (None, True, False):
        yield f"disabled={said.disabled!r}: say True or False."
    if said.python is not None and not (isinstance(said.python, str) and is_python(said.python)):
        yield f"python={said.python!r}: name a version from 3.11 on, as text: '3.12'."
    if said.packages is None:
        return
    if not isinstance(said.packages, Mapping):
        yield f"packages={said.packages!r}: write {{'name': 'version'}}, '' for any version."
        return
    names: set[str] = set()
    for name, version in said.packages.items():
        yield from _mistakes_of(name, version)
        if isinstance(name, str) and canonical_name(name) in names:
            yield f"{name!r} is named twice, in two spellings: name it once."
        names.add(canonical_name(str(name)))


def _mistakes_of(name: object, version: object) -> Iterator[str]:
    if not isinstance(name, str) or not is_package_name(name):
        yield f"{name!r} is no name of a package: use letters, digits, '-', '_' and '.'."
    elif canonical_name(name) == _OURSELVES:
        yield "eventflow itself is in every environment, the runner's own: leave it out."
    elif not isinstance(version, str):
        yield f"{name!r}: {version!r} is no text; put the version in quotes, '' for any."
    elif not is_version(version):
        yield f"{name!r}: {version!r} is no version; write '1.2', '>=1,<2', or '' for any."
