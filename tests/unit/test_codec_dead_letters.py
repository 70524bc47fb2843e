"""Dead letters and re-routed records: nothing of the original is lost, its place least of all."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventflow.codec.dead_letters import dead_letter, read_dead_letter
from eventflow.codec.rerouting import origin_of, rerouted
from eventflow.errors import UndecodableRecord
from eventflow.model.log import Header, NewRecord, Record, partition_of
from eventflow.model.offset import Offset
from eventflow.model.topics import Topics

TOPICS = Topics("test.", 12, 6)
AT = datetime(2026, 1, 31, 6, 30, 15, 123456, tzinfo=UTC)
RECORD = Record("test.events", 3, 41, b"shop/prod", b"\xc3\x01\xff", (("ce_id", b"7"),), AT)
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["ce_id", "ef_reason", "ef_message", "ef_key", "ef_origin_topic", "x"]),
        st.binary(max_size=5),
    ),
    max_size=5,
).map(tuple)


def place(*parts: str) -> tuple[Header, ...]:
    """Headers that say where a record stood before it was re-routed."""
    names = ("topic", "topic_id", "partition", "offset")
    return tuple(
        (f"ef_origin_{name}", part.encode()) for name, part in zip(names, parts, strict=True)
    )


def as_read(record: NewRecord, *, offset: int = 0) -> Record:
    """A new record as a reader gets it, an hour later."""
    return Record(
        record.topic,
        record.partition or 0,
        offset,
        record.key,
        record.value,
        record.headers,
        AT + timedelta(hours=1),
    )


def buried(record: Record, namespace: str | None = "shop/prod") -> NewRecord:
    return dead_letter(TOPICS, record, reason="malformed", message="it is", namespace=namespace)


@given(
    st.none() | st.binary(max_size=10),
    st.none() | st.binary(max_size=10),
    HEADERS,
    st.none() | st.just("shop/prod"),
    st.text(max_size=3000),
)
def test_a_dead_letter_has_the_original_whole(
    key: bytes | None,
    value: bytes | None,
    headers: tuple[Header, ...],
    namespace: str | None,
    message: str,
) -> None:
    record = replace(RECORD, key=key, value=value, headers=headers)

    letter = read_dead_letter(
        as_read(
            dead_letter(TOPICS, record, reason="malformed", message=message, namespace=namespace)
        )
    )

    assert (letter.key, letter.value, letter.headers) == (key, value, headers)
    assert letter.reason == "malformed"
    assert letter.appended_at == AT


def test_a_dead_letter_says_why_where_from_and_when() -> None:
    record = dead_letter(
        TOPICS,
        RECORD,
        reason="parameter",
        message="day: 'x' is no value of type int.",
        namespace="shop/prod",
        deployment=("shop/prod", "Train", 2),
    )

    letter = read_dead_letter(as_read(record))

    assert record.topic == "test.dead-letters"
    assert record.key == RECORD.key
    assert letter.message == "day: 'x' is no value of type int."
    assert str(letter.origin) == "test.events/3/41"
    assert letter.deployment == ("shop/prod", "Train", 2)
    assert (letter.appended_at, letter.failed_at) == (AT, AT + timedelta(hours=1))


def test_a_dead_letter_goes_to_the_partition_of_its_namespace_under_the_original_key() -> None:
    record = buried(replace(RECORD, key=b"nonsense"), namespace="shop/test.b")

    assert record.key == b"nonsense"
    assert record.partition == partition_of(b"shop/test.b", 12)


def test_without_a_namespace_its_key_decides() -> None:
    assert buried(RECORD, namespace=None).partition == partition_of(b"shop/prod", 12)
    assert buried(replace(RECORD, key=None), namespace=None).partition == partition_of(b"", 12)


def test_a_message_is_cut_so_that_the_headers_fit_and_need_not_be_unicode() -> None:
    record = dead_letter(
        TOPICS, RECORD, reason="malformed", message="\ud800" + "ü" * 100_000, namespace=None
    )

    assert sum(len(name) + len(value) for name, value in record.headers) < 16 * 1024
    assert read_dead_letter(as_read(record)).message.startswith("\\ud800üü")


def test_a_dead_letter_that_is_buried_again_is_kept_whole_too() -> None:
    first = as_read(buried(RECORD))

    letter = read_dead_letter(as_read(buried(first)))

    assert letter.headers == first.headers
    assert read_dead_letter(replace(first, headers=letter.headers)).headers == RECORD.headers


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("ce_id", b"7"),),
        buried(RECORD).headers[1:],
        buried(RECORD).headers[:8],
        (("ef_deployment", b"Train"), *buried(RECORD).headers[:2], *buried(RECORD).headers[3:]),
        (("ef_reason", b"\xff"), *buried(RECORD).headers[1:]),
    ],
)
def test_what_another_program_put_there_is_no_dead_letter(headers: tuple[Header, ...]) -> None:
    record = replace(as_read(buried(RECORD)), headers=headers)

    with pytest.raises(UndecodableRecord, match=r"test\.dead-letters/\d+/0 is no dead letter"):
        read_dead_letter(record)


def test_the_origin_of_a_record_is_its_own_place() -> None:
    assert origin_of(RECORD, "tid") == Offset("test.events", "tid", 3, 41)


def test_a_rerouted_record_is_the_same_in_the_right_partition() -> None:
    record = rerouted(TOPICS, RECORD, topic_id="tid", namespace="shop/test.b")

    assert (record.topic, record.key, record.value) == ("test.events", b"shop/test.b", RECORD.value)
    assert record.partition == partition_of(b"shop/test.b", 12)
    assert record.headers[0] == ("ce_id", b"7")


def test_a_rerouted_record_has_its_original_place_also_after_a_second_time() -> None:
    original = Offset("test.events", "tid", 3, 41)
    once = as_read(rerouted(TOPICS, RECORD, topic_id="tid", namespace="shop/prod"), offset=900)
    twice = as_read(rerouted(TOPICS, once, topic_id="later", namespace="shop/prod"), offset=901)

    assert origin_of(once, "later") == original
    assert origin_of(twice, "later") == original
    assert len(twice.headers) == len(once.headers)


def test_the_origin_of_a_rerouted_records_dead_letter_is_its_original_place() -> None:
    moved = as_read(rerouted(TOPICS, RECORD, topic_id="tid", namespace="shop/prod"), offset=900)

    letter = read_dead_letter(as_read(buried(moved)))

    assert letter.origin == Offset("test.events", "tid", 3, 41)
    assert letter.headers == moved.headers


@pytest.mark.parametrize(
    "headers",
    [
        (("ef_origin_offset", b"41"),),
        (("ef_origin_partition", b"3"), ("ef_origin_offset", b"far")),
        place("test.events", "tid", "3", "-4"),
        place("test.events", "tid", "3", str(2**63)),
        place("test.events", "tid", str(2**31), "4"),
        place("../other", "tid", "3", "4"),
        place("test.events", "t/d", "3", "4"),
        place("t\u00e4st.events", "tid", "3", "4"),
    ],
)
def test_an_original_place_that_is_none_makes_a_dead_letter_with_the_records_own(
    headers: tuple[Header, ...],
) -> None:
    record = replace(RECORD, headers=headers)

    with pytest.raises(UndecodableRecord, match="no place in a log") as refused:
        origin_of(record, "tid")
    letter = read_dead_letter(as_read(buried(record)))

    assert refused.value.reason == "malformed"
    assert str(letter.origin) == "test.events/3/41"
    assert letter.headers == headers
