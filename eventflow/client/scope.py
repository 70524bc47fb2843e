"""Where the client looks: everywhere, in one project, or in one namespace.

Chosen by `namespace(…)`; else, inside a task, the namespace of its flow; else
EVENTFLOW_NAMESPACE; else a flow is found where it is the only one of its name. What is named in
full (`project/branch/X`) is found in any case.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from eventflow.context import world
from eventflow.errors import Ambiguous, InvalidName, NotFound
from eventflow.model.namespace import EVERY_BRANCH, Namespace, check_project
from eventflow.model.pathspec import split_pathspec
from eventflow.store.finding import find_run, namespaces_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventflow.store.layout import RunPlace

__all__ = [
    "default_namespace",
    "get_namespace",
    "is_within",
    "locate_flow",
    "locate_run",
    "looking_from",
    "namespace",
]

_METAFLOW_TAGS = ("user:", "production:")


class _Unset(Enum):
    UNSET = "unset"


@dataclass(slots=True)
class _Scope:
    """Of this process, as in Metaflow: `chosen` by its program, `home` while a task runs in it."""

    chosen: str | _Unset | None = _Unset.UNSET
    home: str | None = None


_scope = _Scope()


def namespace(path: str | None) -> str | None:
    """Look in `project/branch`, in all branches of `project`, or, with None, everywhere.

    Raises:
        InvalidName: it is neither; Metaflow's tags `user:…` and `production:…` are not.
    """
    _scope.chosen = None if path is None else _checked(path)
    return _scope.chosen


def get_namespace() -> str | None:
    """Where the client looks: `project/branch`, `project`, or None for everywhere."""
    return _default() if isinstance(_scope.chosen, _Unset) else _scope.chosen


def default_namespace() -> str | None:
    """Look where the client looks when nobody chose, and say where that is."""
    _scope.chosen = _Unset.UNSET
    return get_namespace()


@contextmanager
def looking_from(home: str) -> Iterator[None]:
    """Within the block the process is a task of a flow in the namespace `home`."""
    former, _scope.home = _scope.home, home
    try:
        yield
    finally:
        _scope.home = former


def is_within(home: str) -> bool:
    """Whether the client looks in the namespace `home`."""
    within = get_namespace()
    return within is None or within in (home, home.partition("/")[0])


def locate_flow(name: str) -> tuple[str, tuple[str, ...]]:
    """A flow's own name and the namespaces that it is looked for in.

    Raises:
        NotFound: it has never run there; the message says where it has.
        Ambiguous: nobody chose a namespace, and it lives in several; the message lists them.
    """
    full, (flow,) = split_pathspec(name, 1)
    within = get_namespace() if full is None else full
    found = _namespaces(flow, within)
    if len(found) > 1 and within is None and isinstance(_scope.chosen, _Unset):
        raise Ambiguous(
            f"{flow} lives in {', '.join(found)}. Name one: Flow('{found[0]}/{flow}'), or"
            f" namespace('{found[0]}') for all that follows; namespace(None) takes all of them."
        )
    return flow, found


def locate_run(pathspec: str, below: int = 0) -> tuple[RunPlace, tuple[str, ...]]:
    """The run of `Flow/run…`, of which the first characters are enough, and the `below` names
    behind it.

    Raises:
        NotFound: there is no such flow or run.
        Ambiguous: several runs have such an id; the message lists them.
    """
    full, (flow, run, *rest) = split_pathspec(pathspec, 2 + below)
    found = _namespaces(flow, get_namespace() if full is None else full)
    return find_run(world().store, flow, found, run), tuple(rest)


def _namespaces(flow: str, within: str | None) -> tuple[str, ...]:
    found = namespaces_of(world().store, flow, within)
    if found:
        return found
    elsewhere = namespaces_of(world().store, flow) if within else ()
    if elsewhere:
        raise NotFound(
            f"{flow} has never run in {within}. It lives in {', '.join(elsewhere)}: name one in"
            f" full, like {elsewhere[0]}/{flow}, or choose it with namespace('{elsewhere[0]}')."
        )
    raise NotFound(f"No flow {flow} has run yet, as far as {world().store.url} knows.")


def _default() -> str | None:
    if _scope.home is not None:
        return _scope.home
    setting = world().settings.namespace
    return None if setting is None else _checked(setting)


def _checked(path: str) -> str:
    if not isinstance(path, str):
        raise InvalidName(f"{path!r} is no namespace: write 'project/branch', or None for all.")
    if path.startswith(_METAFLOW_TAGS):
        tag, _, name = path.partition(":")
        branch = f"user.{name}" if tag == "user" else "prod"
        raise InvalidName(
            f"{path!r} is a tag of Metaflow. A namespace here is project/branch: write"
            f" namespace('<project>/{branch}'), with 'default' for flows without @project."
        )
    if "/" not in path:
        return check_project(path)
    parsed = Namespace.parse(path)
    return parsed.project if parsed.branch == EVERY_BRANCH else str(parsed)
