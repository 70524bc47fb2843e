"""Pieces of output as bytes, the lines that they make, and when these were printed."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventflow.errors import CorruptObject
from eventflow.execution.output import keep_output
from eventflow.model.task import TaskKey
from eventflow.store.layout import RunPlace
from eventflow.store.line_times import (
    GrowingLines,
    LineTimes,
    read_times,
    thinned,
    time_of_ms,
    write_times,
)
from eventflow.store.live_output import (
    LiveOutput,
    Portion,
    decode_piece,
    encode_piece,
    rest_of_output,
    unended,
)
from eventflow.store.local import LocalStore

END = datetime(2026, 11, 28, tzinfo=UTC)
PLACE = RunPlace("shop/prod", "Train", "r1")
KEY = TaskKey(1, "start")


def put(store: LocalStore, execution: str, number: int, start: int, data: bytes) -> None:
    piece = encode_piece({"stdout": Portion(start, data)})
    store.put_if_absent(f"{PLACE.live(KEY)}{execution}/{number:08d}", piece)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


class TestPieces:
    def test_are_read_as_they_were_written(self) -> None:
        portions = {
            "stdout": Portion(7, b"a\nb\n\xc3", ((9, 1000), (12, 2000))),
            "stderr": Portion(0, b"\n"),
        }

        assert decode_piece("k", encode_piece(portions)) == portions

    @pytest.mark.parametrize("data", [b"", b"no json\n", b"[]\n", b'{"stdout": 1}\n', b'{"a": {}}'])
    def test_that_are_none_are_corrupt(self, data: bytes) -> None:
        with pytest.raises(CorruptObject, match="k is no piece"):
            decode_piece("k", data)

    def test_are_given_once(self, store: LocalStore) -> None:
        live = LiveOutput(store, PLACE, KEY)
        put(store, "0001-a", 0, 0, b"one")

        first = list(live.read())
        put(store, "0001-a", 1, 3, b"two")
        second = list(live.read())

        assert first == [("stdout", Portion(0, b"one"))]
        assert second == [("stdout", Portion(3, b"two"))]
        assert list(live.read()) == []

    def test_of_an_attempt_that_was_begun_once_more_count_from_then_on(
        self, store: LocalStore
    ) -> None:
        put(store, "0001-a", 0, 0, b"killed")
        put(store, "0002-b", 0, 0, b"begun again")

        read = list(LiveOutput(store, PLACE, KEY).read())

        assert read == [("stdout", Portion(0, b"begun again"))]

    def test_say_which_attempts_have_not_ended(self, store: LocalStore) -> None:
        put(store, "0001-a", 0, 0, b"so far")
        at_work = unended(store, PLACE)
        store.put_if_absent(PLACE.failure(KEY), b"{}")

        assert at_work == (KEY,)
        assert unended(store, PLACE) == ()
        assert unended(store, PLACE, "end") == ()


class TestGrowingLines:
    @given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=8))
    def test_are_those_of_the_whole_however_it_came(self, data: bytes, cuts: list[int]) -> None:
        data = data.replace(b"\r", b"")
        bounds = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
        lines = GrowingLines()

        found: list[tuple[datetime, bytes]] = []
        for start, end in itertools.pairwise(bounds):
            found += lines.add(Portion(start, data[start:end]))
        found += lines.end()

        assert b"\n".join(line for _, line in found) == data.removesuffix(b"\n")
        assert lines.done == len(data)

    def test_have_the_time_at_which_their_end_was_there(self) -> None:
        lines = GrowingLines()

        first = list(lines.add(Portion(0, b"a\nb", ((2, 1000), (3, 2000)))))
        second = list(lines.add(Portion(3, b"\nc", ((4, 3000), (5, 4000)))))

        assert first == [(time_of_ms(1000), b"a")]
        assert second == [(time_of_ms(3000), b"b")]

    def test_say_what_was_left_out(self) -> None:
        lines = GrowingLines()
        list(lines.add(Portion(0, b"a\nhalf")))

        found = [line.decode() for _, line in lines.add(Portion(1000, b"z\n"))]

        assert found == ["half", "… 994 bytes are left out here …", "z"]

    def test_begin_again_with_an_attempt_that_was_begun_again(self) -> None:
        lines = GrowingLines()
        list(lines.add(Portion(0, b"a\nhalf")))

        found = [line for _, line in lines.add(Portion(0, b"a\nb\n"))]

        assert found == [b"half", b"a", b"b"]


class TestTheKeptOutput:
    @pytest.mark.parametrize("behind", [0, 100, 6 * 2**20, 11 * 2**20, 15 * 2**20])
    def test_goes_on_where_the_pieces_were_read_to(
        self, behind: int, store: LocalStore, tmp_path: Path
    ) -> None:
        whole = b"".join(b"%09d\n" % number for number in range(16 * 2**20 // 10))
        (tmp_path / "stdout").write_bytes(whole)
        keep_output(store, PLACE, KEY, str(tmp_path), lambda data: data)
        kept = store.get(PLACE.output(KEY, "stdout"))
        seen = behind // 10 * 10

        rest = kept[rest_of_output(kept, seen) :]

        if seen >= 11 * 2**20 - 10:
            assert rest == whole[seen:]
        elif seen > 5 * 2**20:
            assert rest.startswith("\n… ".encode())
            assert rest.endswith(whole[-5 * 2**20 :])
        else:
            assert rest == kept[seen:]

    def test_has_the_times_of_its_lines(self, store: LocalStore) -> None:
        times = {"stdout": LineTimes(((2, 1000), (6, 3000)), 6)}
        write_times(store, PLACE, KEY, times)

        read = read_times(store, PLACE, KEY, "stdout")
        found = list(read.of_lines(b"a\nbc\nd\ne\n", END))

        assert found == [
            (time_of_ms(1000), b"a"),
            (time_of_ms(3000), b"bc"),
            (END, b"d"),
            (END, b"e"),
        ]
        assert read_times(store, PLACE, KEY, "stderr") == LineTimes()
        assert read_times(store, PLACE, TaskKey(2, "start"), "stdout") == LineTimes()

    def test_counts_from_the_end_behind_what_is_left_out(self) -> None:
        times = LineTimes([(4, 1000), (96, 2000), (100, 3000)], 100)

        found = [at for at, _ in times.of_lines(b"aaa\n...\nbbb\nccc\n", END)]

        assert found[0] == time_of_ms(1000)
        assert found[-2:] == [time_of_ms(2000), time_of_ms(3000)]

    def test_that_is_not_what_it_should_be_is_corrupt(self, store: LocalStore) -> None:
        store.put_if_absent(PLACE.times(KEY), b'{"stdout": {"marks": [1]}}')

        with pytest.raises(CorruptObject, match=r"times\.json"):
            read_times(store, PLACE, KEY, "stdout")


def test_of_too_many_times_every_second_one_is_kept_and_the_last() -> None:
    marks = [(number, number) for number in range(4097)]

    kept = thinned(marks)

    assert len(kept) == 2049
    assert kept[-1] == (4096, 4096)
    assert thinned(kept) == kept
