"""`Metaflow`: all flows, under the name that users of Metaflow know; and what they ask of it.

There is no metadata service here: what is known of runs is in the store.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from eventflow.client.flow import Flow
from eventflow.client.scope import get_namespace
from eventflow.context import world
from eventflow.store.finding import namespaces_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Metaflow", "default_metadata", "get_metadata", "metadata"]


class Metaflow:
    """All flows that have run where the client looks."""

    @property
    def flows(self) -> list[Flow]:
        """Each flow, in the order of the names; one that lives in several namespaces once."""
        return list(self)

    def __iter__(self) -> Iterator[Flow]:
        within = get_namespace()
        for each in world().store.list("flows/", folders=True):
            name = each.key.split("/")[1]
            found = namespaces_of(world().store, name, within)
            if found:
                yield Flow.at(name, *found)

    def __getitem__(self, name: str) -> Flow:
        """The flow of that name.

        Raises:
            NotFound: it has never run where the client looks.
            Ambiguous: nobody chose a namespace, and it lives in several.
        """
        return Flow(name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(namespaces_of(world().store, name, get_namespace()))

    def __repr__(self) -> str:
        return f"<all flows of {get_metadata()}>"


def get_metadata() -> str:
    """Where runs are read from: `eventflow@<url of the store>`."""
    return f"eventflow@{world().store.url}"


def default_metadata() -> str:
    """The same: there is one place, and EVENTFLOW_STORE__URL says where."""
    return get_metadata()


def metadata(where: str) -> str:
    """Where runs are read from. Nothing is changed; a warning says so when `where` is another."""
    here = get_metadata()
    if where != here:
        warnings.warn(
            f"Runs are read from {here}, not from {where!r}: EVENTFLOW_STORE__URL says where.",
            stacklevel=2,
        )
    return here
