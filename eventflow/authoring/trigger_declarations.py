"""`@trigger`, `@trigger_on_finish`, `@schedule`: what starts a flow, as its author says it.

The decorators only keep what is said; `triggers` reads it when the flow is checked or deployed,
so that all mistakes come at once, with file and line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from eventflow.authoring.configs import resolved
from eventflow.authoring.misuse import checked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from eventflow.authoring.deploy_context import DeployContext

    Fields: TypeAlias = Mapping[str, str] | Sequence[str | Sequence[str]]
    Deferred: TypeAlias = Callable[[DeployContext], Any]
    Named: TypeAlias = str | Mapping[str, Any] | Deferred

__all__ = [
    "Declaration",
    "declarations_of",
    "namespaced_event_name",
    "schedule",
    "trigger",
    "trigger_on_finish",
]

_ATTRIBUTE = "__eventflow_triggers__"
Flow = TypeVar("Flow", bound=type)


@dataclass(frozen=True, slots=True)
class Declaration:
    """What one decorator said, unread: `one` of `event=` or `flow=`, `many` of the plurals."""

    decorator: str
    one: object = None
    many: object = None
    options: object = None


@checked("@trigger stands on a flow: put it above the class.")
def trigger(
    *,
    event: Named | None = None,
    events: Sequence[Named] | Deferred | None = None,
    options: Mapping[str, Any] | None = None,
) -> Callable[[Flow], Flow]:
    """Start the flow by an event, or by several: then when each of them has come.

    An event is its name, or `{"name": …, "parameters": …}`, where `parameters` says which
    payload field each parameter is taken from: `{"parameter": "field"}`, or a list or tuple of
    `"name"` (of both) and `("parameter", "field")`. A field may be a path: `table.name`. Without
    `parameters`, and with one event, each parameter is taken from the field of its own name.
    Everywhere a function of a `DeployContext` may stand instead, which is asked at deploy.

    Heard are events of the flow's own namespace, and those for its whole project.
    """
    return _declare(Declaration("trigger", event, events, options))


@checked("@trigger_on_finish stands on a flow: put it above the class.")
def trigger_on_finish(
    *,
    flow: Named | None = None,
    flows: Sequence[Named] | Deferred | None = None,
    options: Mapping[str, Any] | None = None,
) -> Callable[[Flow], Flow]:
    """Start the flow when a run of another succeeded, or a run of each of several.

    A flow is its name, `{"name": …}`, or a function of a `DeployContext`, asked at deploy. Heard
    are the flows of the same namespace.
    """
    return _declare(Declaration("trigger_on_finish", flow, flows, options))


@checked("@schedule stands on a flow: put it above the class.")
def schedule(
    cron: str | None = None,
    *,
    weekly: bool = False,
    daily: bool = True,
    hourly: bool = False,
    timezone: str | None = None,
) -> Callable[[Flow], Flow]:
    """Start the flow by the clock, besides what else starts it: at the times of a cron expression
    of five fields (minute, hour, day of the month, month, day of the week), or every week (Sunday
    at 0:00), hour or day (at 0:00). The first said of `cron`, `weekly`, `hourly`, `daily` counts.

    `timezone` is an IANA name such as `Europe/Berlin`, UTC without one. AWS's six fields are taken
    too, when the year is `*`. Each due time starts one run, whose parameters have their defaults.
    """
    said = {"weekly": weekly, "daily": daily, "hourly": hourly, "timezone": timezone}
    return _declare(Declaration("schedule", cron, options=said))


def namespaced_event_name(name: str) -> str:
    """`name` itself: an event is always one of its publisher's namespace (Metaflow's helper)."""
    return name


def declarations_of(flow_class: type) -> tuple[Declaration, ...]:
    """What the decorators of a flow said, from the top down, with the values of configurations.
    A class that has any of its own inherits none.

    Raises:
        InvalidConfig: an expression of configurations cannot be evaluated.
    """
    declarations: tuple[Declaration, ...] = getattr(flow_class, _ATTRIBUTE, ())
    return tuple(resolved(flow_class, each) for each in declarations)


def _declare(declaration: Declaration) -> Callable[[Flow], Flow]:
    def decorate(flow_class: Flow) -> Flow:
        own = vars(flow_class).get(_ATTRIBUTE, ())
        setattr(flow_class, _ATTRIBUTE, (declaration, *own))
        return flow_class

    return decorate
