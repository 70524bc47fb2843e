"""The key of every record (docs/protocols.md §1): what orders it, and what a compact topic keeps.

events          the namespace; of an Activation its source, of a Forward its home
deployments     <namespace>/<flow>/<version>
trigger-state   position
                active/<source>/<namespace>/<flow>
                held/<namespace>/<flow>/<event name>/<topic id>/<partition>/<offset, 20 digits>
                seen/<digest in hexadecimal>
                timer/<namespace>/<flow>
decisions       the namespace of the deployment
runs            the run id, or position
run-requests, run-reports, run-log      the run id
runners         the runner id
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eventflow.model.deployment import Deployment
    from eventflow.model.state import ActiveVersion, HeldEvent, SeenId, Timer

__all__ = ["POSITION", "active_key", "deployment_key", "held_key", "seen_key", "timer_key"]

POSITION = b"position"


def deployment_key(record: Deployment) -> bytes:
    """One key a version: no version replaces another."""
    return f"{record.namespace}/{record.flow}/{record.version}".encode()


def active_key(record: ActiveVersion) -> bytes:
    """One key a source and deployment: a later version replaces the one before."""
    return f"active/{record.source}/{record.namespace}/{record.flow}".encode()


def held_key(record: HeldEvent) -> bytes:
    """One key a deployment and original record; in the order of names, then offsets."""
    origin = record.cause.origin
    place = f"{origin.topic_id}/{origin.partition}/{origin.offset:020d}"
    return f"held/{record.namespace}/{record.flow}/{record.cause.name}/{place}".encode()


def seen_key(record: SeenId) -> bytes:
    """One key an id."""
    return f"seen/{record.digest.hex()}".encode()


def timer_key(record: Timer) -> bytes:
    """One key a deployment: it has one timer at most."""
    return f"timer/{record.namespace}/{record.flow}".encode()
