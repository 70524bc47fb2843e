"""The causes of a run: in its request, or, when they are large, in a blob beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventflow.store.blobs import get_blob

if TYPE_CHECKING:
    from eventflow.model.run import Cause, RunRequest
    from eventflow.store.port import Store

__all__ = ["causes_of"]


def causes_of(store: Store, request: RunRequest) -> tuple[Cause, ...]:
    """What led to a run, oldest first; nothing for most runs by hand.

    Raises:
        ObjectMissing: the blob of its causes is gone.
        CorruptObject: the blob cannot be read.
    """
    if request.causes_digest is None:
        return request.causes
    # Here, and not above: nearly no task has large causes, and every fork would copy the codec.
    from eventflow.codec.causes import read_causes  # noqa: PLC0415

    project = request.namespace.partition("/")[0]
    return read_causes(get_blob(store, project, request.causes_digest))
