"""Finding flows and runs by what people type: a flow's name, the first letters of a run's id.

One listing a namespace, whatever the history is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from eventflow.errors import Ambiguous, NotFound
from eventflow.store.layout import RunPlace, flow_key, flow_of_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from eventflow.store.port import Store

__all__ = ["find_run", "namespaces_of"]

_PREFIX = re.compile(r"[a-z0-9]{6,}")
_ID_LENGTH = 21
_MOST_SHOWN = 10


def namespaces_of(store: Store, flow: str, within: str | None = None) -> tuple[str, ...]:
    """Where a flow of that name has run, in order: everywhere, or within `project/branch`, or
    within a whole `project`. Empty when nowhere."""
    if within is not None and "/" in within:
        return (within,) if store.info(flow_key(within, flow)) else ()
    start = flow_key("" if within is None else f"{within}/", flow)
    return tuple(str(flow_of_key(each.key)[0]) for each in store.list(start))


def find_run(store: Store, flow: str, namespaces: Sequence[str], prefix: str) -> RunPlace:
    """The one run of a flow whose id begins with `prefix`.

    Raises:
        NotFound: none does, or the prefix has fewer than 6 characters.
        Ambiguous: several do; the message lists them.
    """
    if not _PREFIX.fullmatch(prefix):
        raise NotFound(f"{prefix!r} is no run: give at least the first 6 characters of its id.")
    found = [place for each in namespaces for place in _runs(store, each, flow, prefix)]
    if not found:
        raise NotFound(f"No run of {flow} in {', '.join(namespaces)} has an id like {prefix}….")
    if len(found) > 1:
        raise Ambiguous(f"The id {prefix}… fits several runs; give more of it:\n{_listed(found)}")
    return found[0]


def _runs(store: Store, namespace: str, flow: str, prefix: str) -> Iterator[RunPlace]:
    place = RunPlace(namespace, flow, prefix)
    if len(prefix) == _ID_LENGTH:
        if store.info(place.run):
            yield place
        return
    start = place.root.removesuffix("/")
    for each in store.list(start, folders=True, limit=_MOST_SHOWN):
        yield RunPlace(namespace, flow, each.key.rstrip("/").rpartition("/")[2])


def _listed(places: Iterable[RunPlace]) -> str:
    return "\n".join(f"  {each.namespace}/{each.flow}/{each.run_id}" for each in places)
