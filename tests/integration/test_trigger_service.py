"""The trigger service on a real bus: exactly once, whatever fails, and nothing dropped."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from eventflow.effects import SystemClock
from eventflow.errors import StoreUnreachable
from eventflow.model.deployment import Activation, ParameterType
from eventflow.model.log import NewRecord, TopicPartition
from eventflow.model.occurrence import happened
from eventflow.model.offset import Offset
from eventflow.model.state import HeldEvent
from eventflow.services.trigger import FAULT_POINTS
from eventflow.settings import TriggerSettings
from eventflow.store.blobs import get_blob
from eventflow.store.local import LocalStore
from eventflow.store.pieces import Data
from tests.contract.buses import Backend
from tests.support.machines import START, completion, event, on, on_finish, parameter
from tests.support.trigger_rig import CrashAt, Crashed, TriggerRig

if TYPE_CHECKING:
    from collections.abc import Iterator

NEAR, FAR = "p/prod", "p/test.a"


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
def rig(request: pytest.FixtureRequest, tmp_path: Path, topic_prefix: str) -> Iterator[TriggerRig]:
    """A new installation on each backend."""
    if request.param == "kafka":
        server = request.getfixturevalue("kafka_server")
        backend = Backend("kafka", server.bootstrap_servers)
    else:
        backend = Backend("sqlite", str(tmp_path))
    with closing(TriggerRig(backend, topic_prefix, tmp_path)) as rig:
        assert len({rig.partition_of(each) for each in (NEAR, "p/*")}) == 2
        yield rig


def _started(rig: TriggerRig) -> Counter[tuple[str, str, int]]:
    return Counter((each.namespace, each.flow, each.version) for each in rig.requests())


def _assert_once(rig: TriggerRig, expected: int) -> None:
    run_ids = [each.run_id for each in rig.requests()]
    assert len(run_ids) == len(set(run_ids)) == expected


def test_every_event_becomes_one_request_by_the_version_at_its_offset(rig: TriggerRig) -> None:
    service = rig.service()
    rig.deploy("Train", on("data"))
    rig.publish(*(event("data", NEAR, {"n": n}) for n in range(20)))
    rig.deploy("Train", on("data"), version=2)
    rig.publish(*(event("data", NEAR, {"n": n}) for n in range(30)))

    rig.run(service)

    assert _started(rig) == {(NEAR, "Train", 1): 20, (NEAR, "Train", 2): 30}
    _assert_once(rig, 50)


def test_an_event_of_the_project_reaches_every_branch(rig: TriggerRig) -> None:
    service = rig.service()
    for namespace in (NEAR, FAR):
        rig.deploy("Train", on("data"), namespace)
        rig.deploy("Join", on("data", "more"), namespace)
    (origin,) = rig.publish(event("data", "p/*"))
    rig.publish(event("more", NEAR))

    rig.run(service)

    assert _started(rig) == {(NEAR, "Train", 1): 1, (FAR, "Train", 1): 1, (NEAR, "Join", 1): 1}
    assert all(origin in {c.origin for c in each.causes} for each in rig.requests())


def test_a_completion_starts_what_waits_for_the_flow(rig: TriggerRig) -> None:
    service = rig.service()
    rig.deploy("Predict", on_finish("Train"))
    rig.publish(completion("Train", NEAR), completion("Train", FAR))

    rig.run(service)

    assert _started(rig) == {(NEAR, "Predict", 1): 1}


def test_a_join_goes_on_after_a_restart(rig: TriggerRig) -> None:
    first = rig.service()
    rig.deploy("Join", on("a", "b"))
    rig.publish(event("a", NEAR, {"n": 1}), event("a", "p/*", {"n": 2}))
    rig.run(first)
    first.close()

    second = rig.service()
    rig.publish(event("b", NEAR))
    rig.run(second)

    (request,) = rig.requests()
    assert sorted(cause.name for cause in request.causes) == ["a", "a", "b"]


def test_two_services_share_the_partitions_and_start_each_run_once(rig: TriggerRig) -> None:
    services = [rig.service(), rig.service()]
    rig.deploy("Train", on("data"))
    rig.deploy("Train", on("data"), FAR)
    rig.run_until(lambda: all(each.progress.partitions for each in services), *services)

    rig.publish(*(event("data", source) for _ in range(50) for source in (NEAR, FAR, "p/*")))
    rig.run(*services)

    assert _started(rig) == {(NEAR, "Train", 1): 100, (FAR, "Train", 1): 100}
    _assert_once(rig, 200)


@pytest.mark.parametrize("point", FAULT_POINTS)
def test_a_service_that_dies_anywhere_loses_and_doubles_nothing(
    rig: TriggerRig, point: str
) -> None:
    rig.deploy("Train", on("data"))
    rig.deploy("Train", on("data"), FAR)
    rig.deploy("Join", on("a", "b"))
    faults = CrashAt()
    first = rig.service(faults)
    before_its_records = point in ("trigger.acquired", "trigger.restored", "trigger.sought")
    if not before_its_records:
        rig.run(first)
    _publish_a_mixture(rig)
    faults.name, faults.nth = point, 1

    with pytest.raises(Crashed):
        rig.run(first)
    rig.run(rig.service())

    assert _started(rig) == {(NEAR, "Train", 1): 21, (FAR, "Train", 1): 10, (NEAR, "Join", 1): 5}
    _assert_once(rig, 36)


def _publish_a_mixture(rig: TriggerRig) -> None:
    for number in range(10):
        rig.publish(event("data", "p/*", {"n": number}))
        rig.publish(event("data", NEAR, {"n": number}, id=str(number)))
        rig.publish(event("data", NEAR, {"n": number}, id=str(number)))
        rig.publish(event("ab"[number % 2], NEAR))
    rig.publish(event("data", NEAR, {"large": "x" * 300_000}))


def test_a_zombie_commits_nothing(rig: TriggerRig) -> None:
    rig.deploy("Train", on("data"))
    faults = CrashAt()
    zombie = rig.service(faults)
    rig.run(zombie)
    rig.publish(*(event("data", NEAR) for _ in range(10)))
    faults.name = "trigger.decided"
    with pytest.raises(Crashed):
        rig.run(zombie)

    successor = rig.service()
    rig.run(successor)
    zombie.step(timedelta(milliseconds=50))
    rig.publish(event("data", NEAR))
    rig.run(zombie, successor)

    _assert_once(rig, 11)


class HurriedClock(SystemClock):
    """Every look at it costs a second, so that no slice of time is ever enough."""

    looks = 0

    def elapsed(self) -> timedelta:
        self.looks += 1
        return timedelta(seconds=self.looks)


def test_a_large_state_is_restored_in_slices_between_polls(rig: TriggerRig) -> None:
    first = rig.service()
    rig.deploy("Train", on("data"))
    rig.publish(*(event("data", NEAR, id=str(number)) for number in range(100)))
    rig.run(first)
    first.close()

    second = rig.service(clock=HurriedClock())
    unready = 0
    while second.progress.deciding < rig.partitions:
        second.step(timedelta(milliseconds=20))
        unready += second.progress.partitions > second.progress.deciding
        assert unready < 2000
    rig.publish(*(event("data", NEAR, id=str(number)) for number in range(110)))
    rig.run(second)

    assert unready > 100
    _assert_once(rig, 110)


def test_what_a_service_did_is_counted_once_it_is_committed(rig: TriggerRig) -> None:
    service = rig.service(is_measured=True)
    rig.deploy("Train", on("data"))
    rig.publish(event("data", NEAR), event("data", NEAR), event("nobody", NEAR))
    rig.publish_raw(b"plain text", NEAR.encode(), NEAR)

    rig.run(service)

    def counted(name: str, **labels: str) -> float | None:
        return rig.registry.get_sample_value(f"eventflow_{name}", labels)

    assert counted("events_total", kind="event") == 3
    assert counted("events_total", kind="activation") == 2
    assert counted("decisions_total", verdict="started") == 2
    assert counted("starts_total") == 2
    assert counted("trigger_dead_letters_total", reason="bad-magic") == 1
    assert counted("trigger_restores_total") == rig.partitions
    assert counted("event_to_request_seconds_count") == 2


# -- what cannot be handled ----------------------------------------------------------------------


def test_bad_records_become_dead_letters_whole_and_the_partition_goes_on(rig: TriggerRig) -> None:
    service = rig.service()
    rig.deploy("Train", on("data"))
    good = rig.codec.encode(event("data", NEAR))
    stray = rig.codec.encode(_any_held(rig))
    values = [b"plain text", good[:-3], b"\xc3\x01unknown_" + good[10:], stray, good, b""]
    keys = [NEAR.encode()] * 4 + [FAR.encode()] + [NEAR.encode()]
    places = [rig.publish_raw(value, key, NEAR) for value, key in zip(values, keys, strict=True)]
    places.append(rig.publish_raw(None, NEAR.encode(), NEAR))
    rig.publish(event("data", NEAR))

    rig.run(service)

    letters = {each.origin.offset: each for each in rig.dead_letters()}
    assert [letters[place.offset].reason for place in places] == [
        "bad-magic",
        "truncated",
        "unknown-schema",
        "unexpected-record",
        "key-contradicts-body",
        letters[places[5].offset].reason,
        "tombstone",
    ]
    assert [letters[place.offset].value for place in places[:5]] == values[:5]
    assert [letters[place.offset].key for place in places] == [*keys, NEAR.encode()]
    assert all(each.headers == (("h", b"1"),) for each in letters.values())
    _assert_once(rig, 1)


def _any_held(rig: TriggerRig) -> HeldEvent:
    return happened(event("a"), Offset(rig.topics.events, "id", 0, 0)).held_by(NEAR, "Join")


def test_a_record_in_a_wrong_partition_is_moved_and_keeps_its_origin(rig: TriggerRig) -> None:
    service = rig.service()
    rig.deploy("Train", on("data"))
    record = rig.codec.new_record(event("data", NEAR))
    wrong = (rig.partition_of(NEAR) + 1) % rig.partitions
    (origin,) = rig.bus.publish(
        [NewRecord(record.topic, record.key, record.value, record.headers, wrong)]
    )

    rig.run(service)

    (request,) = rig.requests()
    assert [cause.origin for cause in request.causes] == [origin]
    assert rig.dead_letters() == []


def test_a_mark_of_a_version_that_nobody_deployed_is_a_dead_letter(rig: TriggerRig) -> None:
    service = rig.service()
    forged = Activation(NEAR, NEAR, "Train", 3, is_deleted=False, marked_at=START)
    rig.publish(forged, event("data", NEAR))

    rig.run(service)

    assert [each.reason for each in rig.dead_letters()] == ["unknown-deployment"]


def test_what_leaves_a_full_join_is_a_dead_letter_with_all_that_the_join_knew(
    rig: TriggerRig,
) -> None:
    quick = timedelta(milliseconds=50)
    service = rig.service(settings=TriggerSettings(join_events=2, idle_commit=quick))
    rig.deploy("Join", on("a", "b"))
    origins = rig.publish(*(event("a", NEAR, {"n": n}) for n in range(3)))

    rig.run(service)

    (letter,) = rig.dead_letters()
    assert (letter.reason, letter.deployment) == ("join-full", (NEAR, "Join", 1))
    assert letter.origin.offset == origins[0].offset
    held = rig.codec.decode(letter.value)
    assert isinstance(held, HeldEvent)
    assert (held.cause.origin, held.cause.payload) == (origins[0], b'{"n": 0}')


def test_conclusions_larger_than_a_topic_takes_are_a_dead_letter(rig: TriggerRig) -> None:
    service = rig.service()
    names = ("x", "y", "z")
    rig.deploy(
        "Swells",
        on("data", mappings={"data": dict.fromkeys(names, "text")}),
        parameters=tuple(parameter(name, ParameterType.STR) for name in names),
    )
    large, _ = rig.publish(
        event("data", NEAR, {"text": "x" * 400_000}), event("data", NEAR, {"text": "small"})
    )

    rig.run(service)

    assert [(each.reason, each.origin.offset) for each in rig.dead_letters()] == [
        ("too-large", large.offset)
    ]
    _assert_once(rig, 1)


def test_what_retention_deleted_unread_is_a_dead_letter_once(rig: TriggerRig) -> None:
    service = rig.service()
    rig.deploy("Train", on("data"))
    rig.run(service)
    service.close()
    lost = rig.publish(*(event("data", NEAR) for _ in range(3)))
    kept = rig.publish(event("data", NEAR))
    rig.delete_events(rig.partition_of(NEAR), kept[0].offset)

    for _ in range(2):
        again = rig.service()
        rig.run(again)
        rig.run_until(lambda each=again: each.progress.is_ready, again)  # type: ignore[misc]
        again.close()

    (letter,) = rig.dead_letters()
    assert letter.reason == "gap"
    assert letter.origin.offset <= lost[0].offset
    assert [[c.origin for c in each.causes] for each in rig.requests()] == [list(kept)]


def test_a_quiet_log_that_retention_emptied_is_no_gap(rig: TriggerRig) -> None:
    service = rig.service()
    rig.deploy("Train", on("data"))
    rig.run(service)
    service.close()
    home = rig.partition_of(NEAR)
    end = rig.bus.high_watermark(TopicPartition(rig.topics.events, home))
    rig.delete_events(home, end)

    second = rig.service()
    rig.publish(event("data", NEAR))
    rig.run(second)

    assert rig.dead_letters() == []
    _assert_once(rig, 1)


def test_a_topic_made_anew_is_read_from_its_start(rig: TriggerRig) -> None:
    service = rig.service()
    rig.deploy("Train", on("data"))
    rig.publish(*(event("data", NEAR) for _ in range(5)))
    rig.run(service)
    service.close()
    rig.backend.delete_topic(rig.topics.events)
    rig.run_until(lambda: bool(rig.bus.ensure(rig.topics.specs(), create=True)))
    rig.bus = rig.connect()
    (origin,) = rig.publish(event("data", NEAR))

    rig.run(rig.service())

    assert origin in {cause.origin for each in rig.requests() for cause in each.causes}
    _assert_once(rig, 6)


# -- the store, the pace -------------------------------------------------------------------------


class StoreWithOutages(LocalStore):
    """A store that can go away."""

    is_away = False

    def put(self, key: str, data: Data) -> None:
        if self.is_away:
            raise StoreUnreachable("the store is away")
        super().put(key, data)


def test_large_causes_are_a_blob_that_the_request_names(rig: TriggerRig) -> None:
    service = rig.service()
    rig.deploy("Train", on("data"))
    payload = {"text": "x" * 300_000}
    rig.publish(event("data", NEAR, payload))

    rig.run(service)

    (request,) = rig.requests()
    assert request.causes == ()
    assert request.causes_digest is not None
    (cause,) = rig.codec.causes_from_bytes(get_blob(rig.store, "p", request.causes_digest))
    assert cause.payload == event("data", NEAR, payload).payload


def test_a_partition_waits_for_the_store_and_the_others_go_on(rig: TriggerRig) -> None:
    store = StoreWithOutages(rig.folder / "store")
    service = rig.service(store=store)
    other = next(
        each
        for each in (f"{letter}/prod" for letter in "abcdefgh")
        if rig.partition_of(each) != rig.partition_of(NEAR)
    )
    rig.deploy("Train", on("data"))
    rig.deploy("Train", on("data"), other)
    rig.run(service)
    store.is_away = True
    rig.publish(event("data", NEAR, {"text": "x" * 300_000}), event("data", other))

    rig.run_until(lambda: len(rig.requests()) == 1, service)
    waiting = _started(rig)
    store.is_away = False
    rig.run(service)

    assert waiting == {(other, "Train", 1): 1}
    assert _started(rig) == {(other, "Train", 1): 1, (NEAR, "Train", 1): 1}


def test_the_position_of_events_that_matched_nothing_is_committed_now_and_then(
    rig: TriggerRig,
) -> None:
    service = rig.service()
    rig.publish(*(event("nobody", NEAR) for _ in range(100)))

    rig.run(service)

    assert rig.decisions() == []
    assert service.progress.is_ready


def test_decisions_follow_the_order_of_the_log(rig: TriggerRig) -> None:
    service = rig.service()
    rig.deploy("Train", on("data"))
    origins = rig.publish(*(event("data", NEAR, {"n": n}) for n in range(60)))

    rig.run(service)

    decided = [each.origin for each in rig.decisions() if each.event_name == "data"]
    assert decided == list(origins)
