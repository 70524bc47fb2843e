"""The load of the benchmarks of decisions: 1,000 deployments in one namespace, and events for them.

Of the mix, 1 event in 2 is subscribed to and 1 in 10 starts a run; the rest of the subscribed
ones lack a required field. Every event has an id that counts, as `Event.publish()` sends it.
"""

from __future__ import annotations

from datetime import UTC, datetime

from eventflow.model.deployment import CodePackage, Deployment, ParameterSpec, ParameterType
from eventflow.model.event import EventRecord
from eventflow.model.graph import FlowGraph
from eventflow.model.payload import encode_payload
from eventflow.model.trigger import FieldMapping, Source, Subscription, Trigger

__all__ = ["DEPLOYMENTS", "NAMESPACE", "NOW", "deployment", "mixed", "unheard"]

DEPLOYMENTS = 1_000
NAMESPACE = "shop/prod"
NOW = datetime(2026, 1, 31, 6, tzinfo=UTC)
_NO_CODE = CodePackage("0" * 64, 0, "flow.py")


def deployment(number: int) -> Deployment:
    """Deployment `number` hears `event_<number>` alone, and needs its field `rows`."""
    flow = f"Flow{number}"
    heard = Subscription(f"event_{number}", (FieldMapping("rows", "rows"),))
    return Deployment(
        namespace=NAMESPACE,
        flow=flow,
        version=1,
        graph=FlowGraph(flow, "flow.py", "", ()),
        parameters=(ParameterSpec("rows", ParameterType.INT, None, is_required=True),),
        trigger=Trigger(Source.EVENT, (heard,)),
        code=_NO_CODE,
        deployed_at=NOW,
        deployed_by="bench",
    )


def mixed(number: int) -> EventRecord:
    """Event `number` of the mix."""
    if number % 2:
        return unheard(number)
    payload = {"rows": number} if number % 10 == 0 else {"columns": number}
    return _event(number, f"event_{number % DEPLOYMENTS}", payload)


def unheard(number: int) -> EventRecord:
    """Event `number`, under a name that nobody subscribes to."""
    return _event(number, f"other_{number % DEPLOYMENTS}", {"columns": number})


def _event(number: int, name: str, payload: dict[str, int]) -> EventRecord:
    return EventRecord(
        id=f"{number:020d}",
        id_set=True,
        name=name,
        namespace=NAMESPACE,
        payload=encode_payload(payload),
        content_type="application/json",
        published_at=NOW,
        source="bench",
    )
