"""Who hears what in a partition: the versions in force, and their index by name.

An event that nobody subscribes to costs one look-up, however many deployments there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventflow.model.forward import Listener
from eventflow.model.trigger import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from eventflow.model.deployment import Deployment
    from eventflow.model.state import ActiveVersion

__all__ = ["Audience", "Subscriptions"]


class Audience:
    """The deployments that wait for one name in one source namespace, in the order in which
    their versions came into force."""

    def __init__(self, is_here: Callable[[str], bool]) -> None:
        self._is_here = is_here
        self._members: dict[tuple[str, str], Deployment] = {}
        self._here: tuple[Deployment, ...] | None = None
        self._elsewhere: tuple[tuple[str, tuple[Listener, ...]], ...] = ()

    def __bool__(self) -> bool:
        return bool(self._members)

    @property
    def everyone(self) -> tuple[Deployment, ...]:
        """All of them."""
        return tuple(self._members.values())

    @property
    def here(self) -> tuple[Deployment, ...]:
        """Those whose home is this partition."""
        if self._here is None:
            self._split()
        assert self._here is not None
        return self._here

    @property
    def elsewhere(self) -> tuple[tuple[str, tuple[Listener, ...]], ...]:
        """The others, as listeners, by home namespace."""
        if self._here is None:
            self._split()
        return self._elsewhere

    def join(self, deployment: Deployment) -> None:
        """Hear from now on."""
        self._members[deployment.namespace, deployment.flow] = deployment
        self._here = None

    def leave(self, namespace: str, flow: str) -> None:
        """Hear no more."""
        self._members.pop((namespace, flow), None)
        self._here = None

    def _split(self) -> None:
        here: list[Deployment] = []
        homes: dict[str, list[Listener]] = {}
        for member in self._members.values():
            if self._is_here(member.namespace):
                here.append(member)
            else:
                listener = Listener(member.flow, member.version)
                homes.setdefault(member.namespace, []).append(listener)
        self._here = tuple(here)
        self._elsewhere = tuple((home, tuple(each)) for home, each in homes.items())


class Subscriptions:
    """The versions in force, per (source, home namespace, flow).

    Completions belong to the namespace of their flow, so nobody hears them in `project/*`.
    """

    def __init__(self, is_here: Callable[[str], bool]) -> None:
        self._is_here = is_here
        self._active: dict[tuple[str, str, str], tuple[ActiveVersion, Deployment | None]] = {}
        self._audiences: dict[tuple[str, Source, str], Audience] = {}

    def __iter__(self) -> Iterator[ActiveVersion]:
        """All versions in force, in the order in which they came into force."""
        return (active for active, _ in self._active.values())

    def audience(self, source: str, kind: Source, name: str) -> Audience | None:
        """Who waits for that name; None when nobody does."""
        return self._audiences.get((source, kind, name))

    def active(self, source: str, namespace: str, flow: str) -> ActiveVersion | None:
        """The version of a deployment in force for the records of `source`."""
        found = self._active.get((source, namespace, flow))
        return found[0] if found else None

    def deployment(self, source: str, namespace: str, flow: str) -> Deployment | None:
        """The same, whole; also None when it could not be read."""
        found = self._active.get((source, namespace, flow))
        return found[1] if found else None

    def put(self, active: ActiveVersion, deployment: Deployment | None) -> None:
        """Bring a version into force, in the place of the former one."""
        self.remove(active.source, active.namespace, active.flow)
        self._active[active.source, active.namespace, active.flow] = active, deployment
        if deployment is None:
            return
        for key in _names(active.source, deployment):
            self._audiences.setdefault(key, Audience(self._is_here)).join(deployment)

    def remove(self, source: str, namespace: str, flow: str) -> None:
        """Put the version of a deployment out of force; idempotent."""
        _, deployment = self._active.pop((source, namespace, flow), (None, None))
        if deployment is None:
            return
        for key in _names(source, deployment):
            audience = self._audiences[key]
            audience.leave(namespace, flow)
            if not audience:
                del self._audiences[key]


def _names(source: str, deployment: Deployment) -> Iterator[tuple[str, Source, str]]:
    trigger = deployment.trigger
    if trigger is None:
        return
    if trigger.source is Source.COMPLETION and source != deployment.namespace:
        return
    for subscription in trigger.subscriptions:
        yield source, trigger.source, subscription.name
