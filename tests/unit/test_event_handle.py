"""`Event`: whom it reaches, what is refused, what makes two publishes one event."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from eventflow.authoring.current import running
from eventflow.authoring.event import Event
from eventflow.authoring.flow_spec import FlowSpec
from eventflow.bus.reading import read_to_end
from eventflow.errors import (
    BusBusy,
    BusUnreachable,
    EventTooLarge,
    InvalidName,
    InvalidPayload,
    RecordTooLarge,
)
from eventflow.integrations import ArgoEvent, ArgoEventException
from eventflow.model.event import EventRecord, Publisher
from eventflow.model.log import TopicPartition, partition_of
from eventflow.model.payload import decode_payload
from tests.support.stored import AT, event_offset, plan

if TYPE_CHECKING:
    from eventflow.context import World


class F(FlowSpec):
    pass


def published(world: World) -> list[EventRecord]:
    """All events of the log, read without `Event`."""
    records = [
        record
        for number in range(world.topics.event_partitions)
        for record in read_to_end(world.bus, TopicPartition(world.topics.events, number))
    ]
    decoded = [world.codec.decode(record.value) for record in records]
    for record, event in zip(records, decoded, strict=True):
        assert isinstance(event, EventRecord)
        assert record.key == event.namespace.encode()
        assert record.partition == partition_of(record.key, world.topics.event_partitions)
    return [event for event in decoded if isinstance(event, EventRecord)]


def test_an_event_from_outside_reaches_the_whole_project(world: World) -> None:
    at = datetime(2026, 1, 31, tzinfo=UTC)
    payload = {"rows": 7, "at": at, "raw": b"\0", "deep": {"list": [None, True, 1.5]}}

    done = Event("data_updated", payload, project="shop").publish()

    (event,) = published(world)
    assert (event.name, event.namespace, event.id) == ("data_updated", "shop/*", done.id)
    assert decode_payload(event.payload) == payload
    assert (event.published_at, event.publisher, event.roots, event.hops) == (AT, None, (), 0)
    assert (done.namespace, done.offset.offset) == ("shop/*", 0)
    assert str(done.offset).startswith(f"{world.topics.events}/")


@pytest.mark.parametrize(
    ("setting", "project", "branch", "namespace"),
    [
        (None, None, None, "default/*"),
        ("shop", None, None, "shop/*"),
        ("shop", "bank", None, "bank/*"),
        (None, "shop", "prod", "shop/prod"),
        ("shop", None, "test.b", "shop/test.b"),
    ],
)
def test_the_argument_goes_before_the_setting_and_a_branch_narrows(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    setting: str | None,
    project: str | None,
    branch: str | None,
    namespace: str,
) -> None:
    monkeypatch.setattr(world.settings, "project", setting)

    event = Event("x", project=project, branch=branch)

    assert event.namespace == namespace
    assert event.publish().namespace == namespace


def test_an_event_of_a_task_belongs_to_its_flow_and_carries_who_published_it(world: World) -> None:
    roots = (event_offset(41),)
    task = plan("shop/test.b", roots=roots, hops=2)

    with running(task, F(use_cli=False)) as offsets:
        first = Event("x", {"n": 1}).publish()
        second = Event("x", {"n": 2}, project="shop").publish()

    run_id = task.run.request.run_id
    events = published(world)
    assert offsets == [first.offset, second.offset]
    assert [event.id for event in events] == [f"{run_id}/train/0/0", f"{run_id}/train/0/1"]
    assert {(event.namespace, event.id_set, event.hops) for event in events} == {
        ("shop/test.b", True, 2)
    }
    assert events[1].publisher == Publisher("shop/test.b", "Train", run_id, "train", "0", 1)
    assert events[0].roots == roots


def test_another_attempt_of_a_task_publishes_the_same_ids(world: World) -> None:
    ids = []
    for attempt, epoch in ((0, 1), (1, 1), (0, 2)):
        with running(plan("shop/prod", attempt=attempt, epoch=epoch), F(use_cli=False)):
            ids.append(Event("x").publish().id)

    assert len(set(ids)) == 1


@pytest.mark.parametrize(("project", "branch"), [("bank", None), (None, "test.b")])
def test_a_task_cannot_publish_into_another_namespace(
    world: World, project: str | None, branch: str | None
) -> None:
    with running(plan("shop/prod"), F(use_cli=False)):
        event = Event("x", project=project, branch=branch)
        with pytest.raises(InvalidName, match="belongs to the namespace of its flow, shop/prod"):
            event.publish()

    assert published(world) == []


def test_one_object_is_one_event_however_often_it_is_published(world: World) -> None:
    event = Event("x", {"a": 1}).add_to_payload("b", 2)

    event.publish()
    event.publish()

    first, second = published(world)
    assert first == second
    assert first.id_set
    assert decode_payload(first.payload) == {"a": 1, "b": 2}


def test_two_objects_are_two_events_unless_they_say_the_same_id(world: World) -> None:
    for identity in (None, None, "day-1", "day-1"):
        Event("x", id=identity).publish()

    ids = [event.id for event in published(world)]
    assert len(set(ids)) == 3
    assert ids[2:] == ["day-1", "day-1"]


def test_a_published_event_never_changes(world: World) -> None:
    event = Event("x", {"a": 1})
    event.publish({"b": 2})

    with pytest.raises(InvalidPayload, match="make a new Event"):
        event.publish({"b": 3})

    assert len(published(world)) == 1


@pytest.mark.parametrize("field", ["id", "name", "timestamp"])
def test_reserved_fields_are_refused_wherever_they_come_from(world: World, field: str) -> None:
    with pytest.raises(InvalidPayload, match=f"cannot have '{field}'"):
        Event("x", {field: 1})
    with pytest.raises(InvalidPayload, match=f"cannot have '{field}'"):
        Event("x").add_to_payload(field, 1)
    with pytest.raises(InvalidPayload, match=f"cannot have '{field}'"):
        Event("x").publish({field: 1})

    assert Event("x", {"inner": {field: 1}}).payload == {"inner": {field: 1}}


@pytest.mark.parametrize(
    ("name", "project", "branch"),
    [
        ("a b", None, None),
        ("", None, None),
        (None, None, None),
        ("x", "Shop", None),
        ("x", "shop", "b"),
    ],
)
def test_names_that_cannot_be_are_refused_before_anything_is_published(
    name: Any, project: str | None, branch: str | None
) -> None:
    with pytest.raises(InvalidName):
        Event(name, project=project, branch=branch)


@pytest.mark.parametrize("payload", [{"x": object()}, {"x": float("nan")}, {"x": 2**63}])
def test_a_value_that_cannot_be_carried_is_refused_by_its_field(
    world: World, payload: dict[str, Any]
) -> None:
    with pytest.raises(InvalidPayload, match=r"payload's x"):
        Event("x", payload).publish()

    assert published(world) == []


def test_an_event_over_the_limit_is_refused_whole(world: World) -> None:
    with pytest.raises(EventTooLarge, match="put the data into the store"):
        Event("x", {"data": "x" * (512 * 1024)}).publish()

    assert published(world) == []


@pytest.mark.parametrize(
    ("cause", "error"),
    [(BusBusy("not in time"), BusUnreachable), (RecordTooLarge("too large"), EventTooLarge)],
)
def test_what_the_bus_says_is_the_cause_of_the_error(
    world: World, monkeypatch: pytest.MonkeyPatch, cause: Exception, error: type[Exception]
) -> None:
    def publish(records: object) -> object:
        raise cause

    monkeypatch.setattr(world.bus, "publish", publish)
    event = Event("x")

    with pytest.raises(error) as caught:
        event.publish()
    monkeypatch.undo()
    again = event.publish()

    assert caught.value.__cause__ is cause
    assert [each.id for each in published(world)] == [again.id]


def test_an_argo_event_is_a_new_event_each_time_it_is_published(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    event = ArgoEvent(lambda: "x", url="unused", payload={"a": 1}, access_token="unused")
    event.add_to_payload("n", 5).add_to_payload("b", None)

    ids = [event.publish({"b": 1}), event.publish({"b": 2})]

    events = published(world)
    assert [each.id for each in events] == ids
    assert len(set(ids)) == 2
    assert decode_payload(events[1].payload) == {"a": 1, "n": 5, "b": 2}
    assert "Event x published: eventflow.events/" in capsys.readouterr().err


def test_a_safe_publish_happens_in_deployed_runs_only(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    event = ArgoEvent("x")

    outside = event.safe_publish()
    with pytest.raises(ArgoEventException):
        event.safe_publish(ignore_errors=False)
    with running(plan("shop/user.ann", version=0), F(use_cli=False)):
        by_hand = event.safe_publish()
    with running(plan("shop/prod", version=3), F(use_cli=False)):
        deployed = event.safe_publish()

    assert (outside, by_hand) == (None, None)
    assert [each.id for each in published(world)] == [deployed]
    assert capsys.readouterr().err.count("was not published") == 2


def test_an_argo_event_ignores_a_bus_that_is_away_unless_told_not_to(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def publish(records: object) -> object:
        raise BusUnreachable("away")

    monkeypatch.setattr(world.bus, "publish", publish)

    assert ArgoEvent("x").publish() is None
    with pytest.raises(BusUnreachable):
        ArgoEvent("x").publish(ignore_errors=False)
    with pytest.raises(InvalidPayload):
        ArgoEvent("x", payload={"id": 1}).publish()
    with pytest.raises(ArgoEventException):
        ArgoEvent(lambda: 5)  # type: ignore[arg-type, return-value]
