"""What every store promises (eventflow/store/port.py), on each backend."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier, Event

import pytest

from eventflow.errors import BucketMissing, InvalidName, ObjectMissing
from eventflow.store.pieces import Pieces
from eventflow.store.port import Store
from tests.contract.store_fixtures import StorePlace, place, store

__all__ = ["place", "store"]

LARGE = 20 * 2**20


def test_an_object_is_read_as_it_was_put(store: Store) -> None:
    store.put("a/b", b"\x00\xffbytes")

    assert store.get("a/b") == b"\x00\xffbytes"


def test_an_empty_object_is_an_object(store: Store) -> None:
    assert store.put_if_absent("marks/empty", b"")

    assert store.get("marks/empty") == b""
    assert [each.key for each in store.list("marks/")] == ["marks/empty"]


def test_putting_the_same_content_again_is_harmless(store: Store) -> None:
    store.put("blob", b"content")
    store.put("blob", b"content")

    assert store.get("blob") == b"content"


def test_a_view_of_memory_can_be_put(store: Store) -> None:
    store.put("view", memoryview(b"0123456789")[2:5])

    assert store.get("view") == b"234"


def test_pieces_are_put_as_one_object(store: Store) -> None:
    store.put("small", Pieces.of(b"he", memoryview(b"..ad..")[2:4], b"", bytearray(b"er")))
    store.put("none", Pieces.of())
    store.put_all([("all", Pieces.of(b"1", b"2")), ("other", b"3")])

    assert store.get("small") == b"header"
    assert store.get("none") == b""
    assert (store.get("all"), store.get("other")) == (b"12", b"3")


def test_large_pieces_are_put_as_one_object(store: Store) -> None:
    head, body = os.urandom(2**20 + 1), os.urandom(LARGE)

    store.put("put", Pieces.of(head, body, b"end"))
    store.put_all([("all", Pieces.of(body, head))])

    assert store.get("put") == head + body + b"end"
    assert store.get("all") == body + head


SIZES = [0, 5, 2**20, LARGE + 1]


@pytest.mark.parametrize("size", SIZES)
def test_memory_of_the_readers_own_can_be_changed_and_the_object_stays(
    store: Store, size: int
) -> None:
    content = os.urandom(size)
    store.put("object", content)

    own = store.get_own("object")
    assert own == content
    own[:] = bytes(size)

    assert store.get("object") == content
    assert store.get_own("object") == content


def test_memory_of_the_readers_own_outlives_the_object(store: Store) -> None:
    store.put("object", b"1" * LARGE)

    own = store.get_own("object")
    store.delete(["object"])

    assert bytes(own) == b"1" * LARGE


@pytest.mark.parametrize("conditional", [False, True])
def test_a_large_object_comes_back_whole(store: Store, conditional: bool) -> None:
    content = os.urandom(2**20) * (LARGE // 2**20) + b"end"

    if conditional:
        assert store.put_if_absent("large", content)
    else:
        store.put("large", content)

    assert store.get("large") == content
    info = store.info("large")
    assert info is not None
    assert info.size_bytes == len(content)


def test_only_the_first_conditional_put_of_a_key_writes(store: Store) -> None:
    assert store.put_if_absent("end.json", b"first")
    assert not store.put_if_absent("end.json", b"second")

    assert store.get("end.json") == b"first"


def test_only_the_first_conditional_put_of_a_large_object_writes(store: Store) -> None:
    first = b"1" * LARGE

    assert store.put_if_absent("large", first)
    assert not store.put_if_absent("large", b"2" * LARGE)

    assert store.get("large") == first


def test_of_32_racing_writers_exactly_one_wins(place: StorePlace) -> None:
    stores = [place.open() for _ in range(4)]
    together = Barrier(32)

    def write(writer: int, round_: int) -> bool:
        together.wait()
        return stores[writer % 4].put_if_absent(f"race/{round_}", b"%d" % writer)

    with ThreadPoolExecutor(32) as writers:
        for round_ in range(40):
            won = list(writers.map(write, range(32), [round_] * 32))

            assert sum(won) == 1
            assert stores[0].get(f"race/{round_}") == b"%d" % won.index(True)


def test_of_racing_writers_of_a_large_object_exactly_one_wins(place: StorePlace) -> None:
    stores = [place.open() for _ in range(3)]
    together = Barrier(len(stores))

    def write(writer: int) -> bool:
        together.wait()
        return stores[writer].put_if_absent("large", b"%d" % writer * LARGE)

    with ThreadPoolExecutor(len(stores)) as writers:
        won = list(writers.map(write, range(len(stores))))

    assert sum(won) == 1
    assert place.open().get("large") == b"%d" % won.index(True) * LARGE


def test_a_reader_sees_nothing_or_all_of_a_put(place: StorePlace) -> None:
    content = os.urandom(LARGE)
    stopped, started = Event(), Event()
    seen: set[bytes | None] = set()

    def look() -> None:
        reader = place.open()
        while not stopped.is_set():
            try:
                seen.add(reader.get("large"))
            except ObjectMissing:
                seen.add(None)
            started.set()

    with ThreadPoolExecutor(1) as readers:
        reading = readers.submit(look)
        started.wait()
        place.open().put("large", content)
        after = place.open().get("large")
        stopped.set()
        reading.result()

    assert after == content
    assert None in seen
    assert seen <= {None, content}


def test_put_all_writes_what_is_absent_and_leaves_what_stands(store: Store) -> None:
    store.put("all/3", b"stands")

    store.put_all((f"all/{number}", b"new") for number in range(40))

    assert [store.get(f"all/{number}") for number in range(40)] == [
        b"stands" if number == 3 else b"new" for number in range(40)
    ]


def test_put_all_takes_large_objects_among_small_ones(store: Store) -> None:
    store.put_all([("1", b"small"), ("2", b"2" * LARGE), ("3", b"small"), ("4", b"4" * LARGE)])

    assert store.get("2") == b"2" * LARGE
    assert store.get("4") == b"4" * LARGE


def test_put_all_of_nothing_does_nothing(store: Store) -> None:
    store.put_all([])

    assert list(store.list("")) == []


def test_a_store_that_was_told_what_to_rely_on_keeps_its_promises(store: Store) -> None:
    store.rely_on("runs/one/")

    is_mine = store.put_if_absent("runs/one/run.json", b"1")

    assert is_mine
    assert [each.key for each in store.list("")] == ["runs/one/run.json"]


def test_a_rehearsal_leaves_nothing_and_what_follows_is_for_real(store: Store) -> None:
    store.rehearse()
    store.rehearse()

    assert list(store.list("")) == []
    assert store.put_if_absent("runs/one/run.json", b"1")
    assert store.get("runs/one/run.json") == b"1"


def test_several_objects_are_read_in_the_order_of_their_keys(store: Store) -> None:
    store.put_all((f"all/{number}", b"%d" % number) for number in range(60))
    keys = [f"all/{number}" for number in (*range(59, -1, -2), 7, 7)]

    read = list(store.get_all(iter(keys)))

    assert read == [(key, key.removeprefix("all/").encode()) for key in keys]


def test_of_several_objects_the_missing_are_none(store: Store) -> None:
    store.put("a", b"")
    store.put("folder/c", b"3")

    read = list(store.get_all(["a", "b", "folder", "folder/c"]))

    assert read == [("a", b""), ("b", None), ("folder", None), ("folder/c", b"3")]
    assert list(store.get_all([])) == []


def test_large_objects_are_read_among_small_ones(store: Store) -> None:
    store.put_all([("1", b"small"), ("2", b"2" * LARGE), ("3", b"3" * LARGE), ("4", b"small")])

    read = dict(store.get_all(["1", "2", "3", "4"]))

    assert read == {"1": b"small", "2": b"2" * LARGE, "3": b"3" * LARGE, "4": b"small"}


def test_reading_several_objects_is_given_up_without_reading_the_rest(store: Store) -> None:
    store.put_all((f"all/{number}", b"%d" % number) for number in range(100))
    taken: list[str] = []

    def keys() -> Iterator[str]:
        for number in range(100):
            taken.append(f"all/{number}")
            yield taken[-1]

    reading = store.get_all(keys())
    first = next(reading)
    del reading

    assert first == ("all/0", b"0")
    assert len(taken) < 50
    assert store.get("all/99") == b"99"


def test_an_absent_object_is_missing(store: Store) -> None:
    store.put("folder/object", b"")

    assert store.info("nothing") is None
    for key in ("nothing", "folder", "folder/nothing", "no/folder"):
        with pytest.raises(ObjectMissing, match=key):
            store.get(key)
        with pytest.raises(ObjectMissing, match=key):
            store.get_own(key)


def test_the_info_of_an_object_has_its_size_and_the_time_of_its_put(store: Store) -> None:
    store.put("object", b"12345")

    info = store.info("object")

    assert info is not None
    assert (info.key, info.size_bytes, info.is_folder) == ("object", 5, False)
    assert info.modified_at is not None
    assert info.modified_at.tzinfo is UTC
    assert abs(datetime.now(UTC) - info.modified_at) < timedelta(minutes=1)


def test_a_folder_has_no_info(store: Store) -> None:
    store.put("folder/object", b"")

    assert store.info("folder") is None


def test_deleted_objects_are_gone_and_absent_ones_no_error(store: Store) -> None:
    store.put_all([("a/1", b""), ("a/2", b""), ("a/3", b"")])

    store.delete(["a/1", "a/3", "a/absent", "b/absent"])

    assert [each.key for each in store.list("")] == ["a/2"]


def test_a_deleted_key_can_be_won_again(store: Store) -> None:
    store.put_if_absent("alive/1", b"")
    store.delete(["alive/1"])

    assert store.put_if_absent("alive/1", b"")


def test_nothing_is_deleted_when_nothing_is_named(store: Store) -> None:
    store.put("a", b"")

    store.delete([])

    assert store.get("a") == b""


NO_KEYS = ["", "/a", "a/", "a//b", "../a", "a/../b", "a/./b", "..", "a\nb", "a\0", "\ud800"]
TOO_LONG = {"part": "x" * 256, "key": "x/" * 500 + "x"}


@pytest.mark.parametrize("key", [*NO_KEYS, ".tmp/a", *TOO_LONG.values()], ids=ascii)
def test_a_key_that_leads_elsewhere_is_refused_by_every_call(store: Store, key: str) -> None:
    with pytest.raises(InvalidName):
        store.get(key)
    with pytest.raises(InvalidName):
        store.get_own(key)
    with pytest.raises(InvalidName):
        list(store.get_all([key]))
    with pytest.raises(InvalidName):
        store.put(key, b"")
    with pytest.raises(InvalidName):
        store.put_if_absent(key, b"")
    with pytest.raises(InvalidName):
        store.put_all([(key, b"")])
    with pytest.raises(InvalidName):
        store.info(key)
    with pytest.raises(InvalidName):
        store.delete([key])


@pytest.mark.parametrize("prefix", ["/a", "a//", "../a", "a/../", "./"])
def test_a_prefix_that_leads_elsewhere_is_refused(store: Store, prefix: str) -> None:
    with pytest.raises(InvalidName):
        store.list(prefix)


def test_without_its_bucket_every_call_says_so(place: StorePlace) -> None:
    store = place.without_bucket()

    with pytest.raises(BucketMissing):
        store.get("a")
    with pytest.raises(BucketMissing):
        store.get_own("a")
    with pytest.raises(BucketMissing):
        list(store.get_all(["a"]))
    with pytest.raises(BucketMissing):
        store.put("a", b"")
    with pytest.raises(BucketMissing):
        store.put_if_absent("a/b/c", b"")
    with pytest.raises(BucketMissing):
        store.put_all([("a", b"")])
    with pytest.raises(BucketMissing):
        store.info("a")
    with pytest.raises(BucketMissing):
        list(store.list("a/"))
    with pytest.raises(BucketMissing):
        store.delete(["a"])


def test_a_store_says_where_it_is(place: StorePlace, store: Store) -> None:
    assert store.url.startswith(("file:///", "s3://"))
    assert store.url == place.open().url
    assert not store.url.endswith("/")


def _use_in_child(store: Store, results: multiprocessing.SimpleQueue[int]) -> None:
    store.put_all((f"child/{number}", b"child") for number in range(40))
    results.put(sum(store.get(f"parent/{number}") == b"%d" % number for number in range(200)))


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("is_used", [False, True])
def test_a_store_can_be_used_by_a_forked_child_and_its_parent_at_once(
    store: Store, place: StorePlace, is_used: bool
) -> None:
    if not place.is_shared:
        pytest.skip("a store in memory, that no other process sees")
    (store if is_used else place.open()).put_all((f"parent/{n}", b"%d" % n) for n in range(200))
    fork = multiprocessing.get_context("fork")
    results = fork.SimpleQueue()
    child = fork.Process(target=_use_in_child, args=[store, results], daemon=True)

    child.start()
    read_here = [store.get(f"parent/{number}") for number in range(200)]
    child.join(60)
    child.kill()

    assert child.exitcode == 0
    assert results.get() == 200
    assert read_here == [b"%d" % number for number in range(200)]
    assert [store.get(f"child/{number}") for number in range(40)] == [b"child"] * 40
