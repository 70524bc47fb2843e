"""Bytes in several places of memory read as one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eventflow.store.pieces import Pieces, Sink, in_batches, pieces_of, writable

PARTS = st.lists(st.binary(max_size=20), max_size=6)


@given(PARTS, st.integers(0, 130), st.integers(0, 130))
def test_between_two_places_are_the_bytes_of_the_whole(
    parts: list[bytes], start: int, stop: int
) -> None:
    pieces = Pieces.of(*parts)

    assert b"".join(pieces.between(start, stop)) == b"".join(parts)[start:stop]
    assert pieces.joined() == b"".join(parts)
    assert pieces.size_bytes == len(b"".join(parts))


def test_one_object_of_bytes_is_itself_and_a_part_of_it_is_not() -> None:
    whole = b"0123456789"

    assert pieces_of(whole).joined() is whole
    assert pieces_of(memoryview(whole)[2:4]).joined() == b"23"


@given(st.lists(st.integers(0, 200_000), max_size=8))
def test_a_sink_keeps_what_is_written(sizes: list[int]) -> None:
    written = [bytes([number]) * size for number, size in enumerate(sizes)]
    sink = Sink()

    for each in written:
        assert sink.write(each) == len(each)

    assert sink.pieces().joined() == b"".join(written)


def test_a_sink_copies_nothing_large() -> None:
    large, sink = bytearray(100_000), Sink()

    sink.write(b"head")
    sink.write(large)

    assert bytes(sink.pieces().views[0]) == b"head"
    assert sink.pieces().views[1].obj is large


@given(st.lists(st.integers(0, 30)))
def test_batches_have_all_objects_in_order_and_not_more_bytes_than_told(sizes: list[int]) -> None:
    objects = [(str(number), bytes(size)) for number, size in enumerate(sizes)]

    batches = list(in_batches(iter(objects), 40))

    assert [each for batch in batches for each in batch] == objects
    assert all(sum(pieces_of(data).size_bytes for _, data in batch) <= 40 for batch in batches)


def test_an_object_beyond_a_batch_is_alone_in_one() -> None:
    objects = [("a", b"1"), ("b", bytes(100)), ("c", b"3")]

    batches = list(in_batches(objects, 40))

    assert [[key for key, _ in batch] for batch in batches] == [["a"], ["b"], ["c"]]


def test_what_may_be_changed_is_not_copied_to_be_changed() -> None:
    own, others = bytearray(b"abc"), b"abc"

    writable(own)[0] = 0
    writable(others)[0] = 0

    assert own == b"\0bc"
    assert others == b"abc"
