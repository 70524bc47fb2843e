"""Ids of Kafka topics: in the form that Kafka's own tools print, safe in keys and paths."""

from __future__ import annotations

import pytest

from eventflow.bus.kafka.admin import url_safe
from eventflow.codec.rerouting import origin_headers, origin_of
from eventflow.model.log import Record
from eventflow.model.offset import Offset
from tests.support.machines import START


@pytest.mark.parametrize(
    ("told", "printed"),
    [
        ("HJu4VEp4T8CN4t3NJaZQ/g", "HJu4VEp4T8CN4t3NJaZQ_g"),
        ("a+b+/cNJaZQHJu4VEp4T8C", "a-b-_cNJaZQHJu4VEp4T8C"),
    ],
)
def test_a_topic_id_is_url_safe_so_that_a_moved_record_keeps_its_origin(
    told: str, printed: str
) -> None:
    origin = Offset("events", url_safe(told), 1, 2)
    moved = Record("events", 0, 9, b"p/prod", b"", origin_headers(origin), START)

    found = origin_of(moved, url_safe(told))

    assert url_safe(told) == printed
    assert found == origin
