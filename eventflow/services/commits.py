"""Committing several partitions in parallel: how each commit ended, all of them settled."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING

from eventflow.errors import EventflowError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from eventflow.services.custody import Custody

__all__ = ["commit_all"]


def commit_all(custodies: Iterable[Custody]) -> Iterator[tuple[Custody, BaseException | None]]:
    """Commit every partition that has something to say; each with its error, if any.

    Exhaust it: a custody whose commit nobody asks about would commit the same again.
    """
    started = [(each, _begun(each)) for each in custodies if each.has_staged]
    return ((custody, future.exception()) for custody, future in started)


def _begun(custody: Custody) -> Future[None]:
    """Its commit; one that fails at once is no different from one that fails later."""
    try:
        return custody.commit()
    except EventflowError as error:
        failed: Future[None] = Future()
        failed.set_exception(error)
        return failed
