"""Routes: each record goes to its topic, under its key, with the headers that say what it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta, timezone

import pytest

from eventflow.codec.codec import Codec
from eventflow.codec.records import AnyRecord
from eventflow.model.deployment import Activation
from eventflow.model.log import Cleanup
from eventflow.model.state import HeldEvent
from eventflow.model.topics import Topics
from tests.support.records import AT, EXAMPLES, ORIGIN, event_record, example_of

TOPICS = Topics("test.", 12, 6)
CODEC = Codec(TOPICS)
RUN = "rabcdefghijklmnopqrst"
HELD = f"held/shop/prod/Train/data_updated/{ORIGIN.topic_id}/3/00000000000000000041"

KEYS = {
    "EventRecord": ("test.events", "shop/*"),
    "Completion": ("test.events", "shop/prod"),
    "Activation": ("test.events", "shop/*"),
    "Forward": ("test.events", "shop/prod"),
    "Deployment": ("test.deployments", "shop/prod/Train/2"),
    "TriggerPosition": ("test.trigger-state", "position"),
    "ActiveVersion": ("test.trigger-state", "active/shop/*/shop/prod/Train"),
    "HeldEvent": ("test.trigger-state", HELD),
    "SeenId": ("test.trigger-state", "seen/" + "01" * 16),
    "Timer": ("test.trigger-state", "timer/shop/prod/Train"),
    "Decision": ("test.decisions", "shop/prod"),
    "RunRequest": ("test.run-requests", RUN),
    "RunRecord": ("test.runs", RUN),
    "RunPosition": ("test.runs", "position"),
    "RunReport": ("test.run-reports", RUN),
    "Cancellation": ("test.run-reports", RUN),
    "Heartbeat": ("test.runners", "runner1"),
    "TaskState": ("test.run-log", RUN),
}
PINNED = {
    *("TriggerPosition", "ActiveVersion", "HeldEvent", "SeenId", "Timer"),
    *("Decision", "RunPosition"),
}
COMPACT = {each.name for each in TOPICS.specs() if each.cleanup is Cleanup.COMPACT}
NAMES = [type(each).__name__ for each in EXAMPLES]


@pytest.mark.parametrize("record", EXAMPLES, ids=NAMES)
def test_a_record_goes_to_its_topic_under_its_key(record: AnyRecord) -> None:
    new = CODEC.new_record(record, partition=5)

    assert (new.topic, new.key.decode()) == KEYS[type(record).__name__]
    assert new.partition == 5
    assert CODEC.decode(new.value) == record


@pytest.mark.parametrize("record", EXAMPLES, ids=NAMES)
def test_what_belongs_to_the_partition_of_an_input_has_to_say_which(record: AnyRecord) -> None:
    if type(record).__name__ in PINNED:
        with pytest.raises(ValueError, match="Which partition"):
            CODEC.new_record(record)
    else:
        assert CODEC.new_record(record).partition is None


@pytest.mark.parametrize("record", EXAMPLES, ids=NAMES)
def test_only_a_record_of_a_compact_topic_is_removed_by_a_tombstone(record: AnyRecord) -> None:
    topic, key = KEYS[type(record).__name__]
    if topic not in COMPACT:
        with pytest.raises(ValueError, match="cannot be removed"):
            CODEC.tombstone(record, partition=5)
        return

    tombstone = CODEC.tombstone(record, partition=5)

    assert (tombstone.topic, tombstone.key.decode()) == (topic, key)
    assert (tombstone.value, tombstone.partition) == (None, 5)
    assert CODEC.tombstone_of(topic, key, 5) == tombstone


def test_a_tombstone_of_trigger_state_has_to_say_its_partition() -> None:
    with pytest.raises(ValueError, match="Which partition"):
        CODEC.tombstone(example_of(HeldEvent))


@pytest.mark.parametrize("record", EXAMPLES, ids=NAMES)
def test_the_kinds_are_told_apart_by_the_type_header(record: AnyRecord) -> None:
    words = {"EventRecord": "event"}
    name = type(record).__name__
    word = words.get(name) or "".join(f"-{c.lower()}" if c.isupper() else c for c in name)[1:]

    headers = CODEC.new_record(record, partition=0).headers

    assert dict(headers)["ce_type"] == f"eventflow.{word}".encode()
    if KEYS[name][0] != "test.events":
        assert len(headers) == 1


@pytest.mark.parametrize("record", EXAMPLES[:4], ids=NAMES[:4])
def test_records_of_the_event_log_are_cloud_events(record: AnyRecord) -> None:
    headers = dict(CODEC.new_record(record).headers)

    assert headers["ce_specversion"] == b"1.0"
    assert headers["ce_id"]
    assert headers["ce_source"]
    assert headers["ce_time"] == b"2026-01-31T06:30:15.123456Z"
    assert headers["content-type"] == b"application/avro"
    assert headers["ce_subject"] in {b"data_updated", b"Train"}


def test_the_attributes_of_an_event_are_its_own() -> None:
    india = timezone(timedelta(hours=5, minutes=30))

    record = CODEC.new_record(
        event_record(id="7", name="ünlü", source="", published_at=AT.astimezone(india))
    )

    headers = dict(record.headers)
    assert headers["ce_id"] == b"7"
    assert headers["ce_subject"].decode() == "ünlü"
    assert headers["ce_source"] == b"shop/*"
    assert headers["ce_time"] == b"2026-01-31T06:30:15.123456Z"


def test_marks_of_one_version_have_different_ids() -> None:
    mark = example_of(Activation)
    marks = (mark, replace(mark, source="shop/prod"), replace(mark, is_deleted=True))

    ids = {dict(CODEC.new_record(each).headers)["ce_id"] for each in marks}

    assert len(ids) == 3


def test_a_trace_parent_is_passed_on() -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    record = CODEC.new_record(event_record(), traceparent=parent)

    assert record.headers[-1] == ("traceparent", parent.encode())
    assert "traceparent" not in dict(CODEC.new_record(event_record()).headers)
