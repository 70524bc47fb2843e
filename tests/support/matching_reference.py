"""What has to follow from logs of the trigger machine, slowly and obviously.

The reference knows no state. It looks at the whole log of every partition, as it came to be, and
says for each record by scanning backwards which version was in force, who heard it, and which
runs follow.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from eventflow.model.completion import Completion, Outcome
from eventflow.model.deployment import Activation, Deployment
from eventflow.model.event import EventRecord
from eventflow.model.forward import Forward
from eventflow.model.offset import Offset
from eventflow.model.run import RunRequest
from eventflow.model.trigger import Source, Trigger
from tests.support.machines import START, Machines, Partition

__all__ = ["Reference", "as_due", "as_run", "is_due"]

Deployed = tuple[str, str]
Run = tuple[str, str, int, tuple[Offset, ...], str]
Due = tuple[str, str, int, datetime, int]
"""A run of a schedule: its deployment, the due time, and how many were skipped before it."""


@dataclass
class Reference:
    """What has to follow from the logs of `machines`."""

    machines: Machines
    runs: Counter[Run] = field(default_factory=Counter)
    forwards: Counter[tuple[Offset, str, frozenset[tuple[str, int]]]] = field(
        default_factory=Counter
    )
    due: Counter[Due] = field(default_factory=Counter)

    def conclude(self) -> Reference:
        for part in self.machines.parts:
            self._keep_times(part)
            holding: dict[Deployed, list[tuple[EventRecord | Completion, Offset]]] = {}
            for index in range(len(part.entries)):
                self._close_joins(part, index, holding)
                for said, origin, deployment in self._heard(part, index):
                    self._decide(part, index, holding, (said, origin), deployment)
        return self

    def _keep_times(self, part: Partition) -> None:
        """For each schedule the time up to which its due times are done; also of one that is not
        in force any more, since what comes after it must not do them again."""
        done: dict[Deployed, datetime] = {}
        for index, entry in enumerate((*part.entries, None)):
            for _, now in [tick for tick in part.ticks if tick[0] == index]:
                self._pass(part, index, done, now)
            if entry is None:
                return
            self._pass(part, index, done, entry.appended_at)
            mark = entry.body
            if isinstance(mark, Activation) and mark.source == mark.namespace:
                self._set(part, index, done, (mark.namespace, mark.flow))

    def _pass(
        self, part: Partition, index: int, done: dict[Deployed, datetime], until: datetime
    ) -> None:
        for deployed, since in done.items():
            version = self._in_force(part, index, deployed[0], deployed)
            if version is None or version.schedule is None:
                continue
            first, last = _count(since, version), _count(until, version)
            if last > first:
                at = START + last * _period(version)
                done[deployed] = at
                self.due[*version.key, at, last - first - 1] += 1

    def _set(
        self, part: Partition, index: int, done: dict[Deployed, datetime], deployed: Deployed
    ) -> None:
        former = self._in_force(part, index, deployed[0], deployed)
        version = self._in_force(part, index + 1, deployed[0], deployed)
        if version is None or version.schedule is None:
            return
        if former is None or former.schedule != version.schedule:
            at = part.entries[index].appended_at
            done[deployed] = max(at, done.get(deployed, at))

    def _heard(
        self, part: Partition, index: int
    ) -> list[tuple[EventRecord | Completion, Offset, Deployment]]:
        """What record `index` says to which version of whom, decided in this partition."""
        entry = part.entries[index]
        if isinstance(entry.body, Forward):
            forward = entry.body
            return [
                (forward.event, forward.origin, self._version(forward.home, it.flow, it.version))
                for it in forward.listeners
            ]
        if isinstance(entry.body, Activation) or self._is_repeat(part, index):
            return []
        if isinstance(entry.body, Completion) and entry.body.outcome is not Outcome.SUCCEEDED:
            return []
        near = []
        far: dict[str, set[tuple[str, int]]] = {}
        for deployment in self._audience(part, index):
            if self.machines.part_of(deployment.namespace) is part:
                near.append((entry.body, entry.origin, deployment))
            else:
                listener = (deployment.flow, deployment.version)
                far.setdefault(deployment.namespace, set()).add(listener)
        for home, listeners in far.items():
            self.forwards[entry.origin, home, frozenset(listeners)] += 1
        return near

    def _audience(self, part: Partition, index: int) -> list[Deployment]:
        body = part.entries[index].body
        assert isinstance(body, EventRecord | Completion)
        kind = Source.EVENT if isinstance(body, EventRecord) else Source.COMPLETION
        name = body.name if isinstance(body, EventRecord) else body.flow
        found = []
        for deployed in sorted({key[:2] for key in self.machines.deployments}):
            version = self._in_force(part, index, body.namespace, deployed)
            trigger = version.trigger if version else None
            if version and trigger and trigger.source is kind and trigger.subscription(name):
                found.append(version)
        return found

    def _in_force(
        self, part: Partition, index: int, source: str, deployed: Deployed
    ) -> Deployment | None:
        for mark in self._marks(part, index, source, deployed):
            return None if mark.is_deleted else self._version(*deployed, mark.version)
        return None

    def _marks(
        self, part: Partition, index: int, source: str, deployed: Deployed
    ) -> list[Activation]:
        """The marks before a record, latest first."""
        return [
            entry.body
            for entry in reversed(part.entries[:index])
            if isinstance(entry.body, Activation)
            and (entry.body.source, entry.body.namespace, entry.body.flow) == (source, *deployed)
        ]

    def _is_repeat(self, part: Partition, index: int) -> bool:
        body = part.entries[index].body
        if not isinstance(body, EventRecord) or not body.id_set:
            return False
        return any(
            isinstance(former.body, EventRecord)
            and former.body.id_set
            and (former.body.namespace, former.body.name, former.body.id)
            == (body.namespace, body.name, body.id)
            and self._audience(part, before)
            for before, former in enumerate(part.entries[:index])
        )

    def _line(self, part: Partition, index: int, deployed: Deployed) -> set[int]:
        """The versions whose events meet in the join that is open at a record."""
        line: set[int] = set()
        trigger: Trigger | None = None
        for mark in self._marks(part, index, deployed[0], deployed):
            if mark.is_deleted:
                break
            version = self._version(*deployed, mark.version)
            if line and version.trigger != trigger:
                break
            trigger = version.trigger
            line.add(mark.version)
        return line

    def _close_joins(
        self,
        part: Partition,
        index: int,
        holding: dict[Deployed, list[tuple[EventRecord | Completion, Offset]]],
    ) -> None:
        mark = part.entries[index].body
        if isinstance(mark, Activation) and mark.source == mark.namespace:
            deployed = (mark.namespace, mark.flow)
            if not self._line(part, index, deployed) <= self._line(part, index + 1, deployed):
                holding.pop(deployed, None)

    def _decide(
        self,
        part: Partition,
        index: int,
        holding: dict[Deployed, list[tuple[EventRecord | Completion, Offset]]],
        new: tuple[EventRecord | Completion, Offset],
        deployment: Deployment,
    ) -> None:
        deployed = (deployment.namespace, deployment.flow)
        trigger = deployment.trigger
        assert trigger is not None
        if not self._fits(deployment, new[0]):
            return
        if not trigger.is_join:
            self._run(deployment, [new])
        elif deployment.version in self._line(part, index, deployed):
            together = [*holding.pop(deployed, []), new]
            if {_name(said) for said, _ in together} == {s.name for s in trigger.subscriptions}:
                self._run(deployment, sorted(together, key=lambda each: (_at(each[0]), each[1])))
            else:
                holding[deployed] = together

    def _fits(self, deployment: Deployment, said: EventRecord | Completion) -> bool:
        assert deployment.trigger is not None
        subscription = deployment.trigger.subscription(_name(said))
        if not subscription or not subscription.mappings:
            return True
        assert isinstance(said, EventRecord)
        return isinstance(json.loads(said.payload).get("x"), int)

    def _run(
        self, deployment: Deployment, parts: list[tuple[EventRecord | Completion, Offset]]
    ) -> None:
        mapped = {}
        assert deployment.trigger is not None
        for said, _ in parts:
            subscription = deployment.trigger.subscription(_name(said))
            if subscription and subscription.mappings:
                assert isinstance(said, EventRecord)
                mapped["x"] = str(json.loads(said.payload)["x"])
        origins = tuple(origin for _, origin in parts)
        self.runs[*deployment.key, origins, json.dumps(mapped)] += 1

    def _version(self, namespace: str, flow: str, version: int) -> Deployment:
        return self.machines.deployments[namespace, flow, version]


def _name(said: EventRecord | Completion) -> str:
    return said.name if isinstance(said, EventRecord) else said.flow


def _at(said: EventRecord | Completion) -> object:
    return said.published_at if isinstance(said, EventRecord) else said.finished_at


def _period(version: Deployment) -> timedelta:
    assert version.schedule is not None
    return timedelta(minutes=int(version.schedule.cron[2:4]))


def _count(at: datetime, version: Deployment) -> int:
    """How many due times there are since START, at which all of them begin."""
    return (at - START) // _period(version)


def as_due(request: RunRequest) -> Due:
    (cause,) = request.causes
    skipped = json.loads(cause.payload)["skipped"]
    return (request.namespace, request.flow, request.version, cause.at, skipped)


def is_due(request: RunRequest) -> bool:
    return request.causes[0].kind is Source.SCHEDULE


def as_run(request: RunRequest) -> Run:
    origins = tuple(cause.origin for cause in request.causes)
    return (
        *(request.namespace, request.flow, request.version),
        origins,
        json.dumps(request.parameters),
    )
