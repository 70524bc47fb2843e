"""The window of ids: bounded in time, in number, and in what one record costs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from eventflow.model.id_window import IdWindow, seen_id_of
from eventflow.model.state import SeenId
from tests.support.machines import START, event

DAY = timedelta(hours=24)


def _seen(number: int, at: timedelta = timedelta()) -> SeenId:
    return seen_id_of(event("data", id=str(number)), START + at)


def test_what_was_added_is_found_as_it_was() -> None:
    window = IdWindow(DAY, 10)
    seen = _seen(1, timedelta(microseconds=7))

    window.add(seen)

    assert window.find(seen.digest, START) == seen
    assert window.find(_seen(2).digest, START) is None


def test_an_id_whose_time_is_over_is_not_found_even_before_it_is_forgotten() -> None:
    window = IdWindow(DAY, 10)
    window.add(_seen(1))

    found = window.find(_seen(1).digest, START + DAY)

    assert found is None
    assert len(window) == 1


def test_ids_over_their_time_are_forgotten_a_few_at_a_time() -> None:
    window = IdWindow(DAY, 100)
    for number in range(10):
        window.add(_seen(number))

    first = window.shrink(START + DAY)
    rest = window.shrink(START + DAY) + window.shrink(START + DAY)

    assert first == [_seen(number) for number in range(4)]
    assert rest == [_seen(number) for number in range(4, 10)]
    assert len(window) == 0


def test_there_are_never_more_ids_than_the_limit() -> None:
    window = IdWindow(DAY, 3)

    forgotten = []
    for number in range(5):
        window.add(_seen(number))
        forgotten += window.shrink(START)

    assert forgotten == [_seen(0), _seen(1)]
    assert list(window) == [_seen(2), _seen(3), _seen(4)]


def test_an_id_that_is_seen_again_after_its_time_is_the_newest() -> None:
    window = IdWindow(DAY, 10)
    window.add(_seen(1))
    window.add(_seen(2, timedelta(hours=1)))

    window.add(_seen(1, DAY))

    assert list(window) == [_seen(2, timedelta(hours=1)), _seen(1, DAY)]


@pytest.mark.parametrize(
    "other",
    [event("data", "p/test.a", id="1"), event("other", id="1"), event("data", id="2")],
)
def test_an_id_is_that_of_namespace_name_and_id(other: object) -> None:
    same = seen_id_of(event("data", id="1", payload={"x": 1}), START)

    assert seen_id_of(event("data", id="1"), START).digest == same.digest
    assert seen_id_of(event("data", id="1"), START).payload_digest != same.payload_digest
    assert seen_id_of(other, START).digest != same.digest  # type: ignore[arg-type]
