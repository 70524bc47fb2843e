"""When an open run is not worth another epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eventflow.model.deployment import Deployment
    from eventflow.model.run import RunRecord

__all__ = ["why_hopeless"]


def why_hopeless(
    record: RunRecord, deployment: Deployment | None, *, max_take_overs: int
) -> str | None:
    """Why a run that is taken over fails at once, for whoever looks for its cause; None: it goes
    on. A run that kills its runner must not kill them all."""
    if deployment is None:
        return f"version {record.request.version} of {record.request.flow} is not deployed"
    if record.stalled_take_overs > max_take_overs:
        return (
            f"its runner died {record.stalled_take_overs} times in a row without finishing"
            " a task; look for what kills it (memory?) and run it again by hand"
        )
    return None
