"""Listing: order, folders, limits and continuation, the same on every backend as on paper."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventflow.store.port import Store
from tests.contract.store_fixtures import StorePlace, place, store

__all__ = ["place", "store"]


def keys_of(store: Store, prefix: str, *, limit: int | None = None, after: str = "") -> list[str]:
    return [each.key for each in store.list(prefix, limit=limit, after=after)]


def test_keys_come_in_the_order_of_their_bytes(store: Store) -> None:
    # A walk through sorted folders would give a/… before a-b and a.b.
    in_order = ["B", "a-b", "a.b", "a/b", "a/b-c", "a/c/d", "a0", "b", "é", "\ufffd", "😀"]
    store.put_all((key, b"") for key in reversed(in_order))

    assert keys_of(store, "") == in_order


def test_a_prefix_may_end_inside_of_a_part(store: Store) -> None:
    store.put_all((key, b"") for key in ["a/x", "ab/x", "abc", "b/ab"])

    assert keys_of(store, "ab") == ["ab/x", "abc"]
    assert keys_of(store, "ab/") == ["ab/x"]
    assert keys_of(store, "nothing/") == []


def test_objects_are_listed_with_size_and_time(store: Store) -> None:
    store.put("a", b"12345")

    (info,) = store.list("")

    assert info == store.info("a")


def test_folders_are_one_entry_each(store: Store) -> None:
    store.put_all((key, b"") for key in ["r/1/a", "r/1/b", "r/1-x", "r/2/c/d", "r/object"])

    entries = list(store.list("r/", folders=True))

    assert [each.key for each in entries] == ["r/1-x", "r/1/", "r/2/", "r/object"]
    assert [each.is_folder for each in entries] == [False, True, True, False]
    assert [each.modified_at is None for each in entries] == [False, True, True, False]


def test_a_folder_whose_objects_are_deleted_is_no_entry(store: Store) -> None:
    store.put_all((key, b"") for key in ["r/1/alive/a", "r/2/b"])
    store.delete(["r/1/alive/a"])

    assert [each.key for each in store.list("r/", folders=True)] == ["r/2/"]
    assert keys_of(store, "r/", limit=1) == ["r/2/b"]


def test_paging_by_the_last_key_shows_every_entry_once(store: Store) -> None:
    store.put_all((f"r/{number}/{leaf}", b"") for number in range(3) for leaf in "ab")

    pages = [""]
    while found := list(store.list("r/", folders=True, limit=1, after=pages[-1])):
        pages.append(found[0].key)

    assert pages[1:] == ["r/0/", "r/1/", "r/2/"]


def test_more_keys_than_one_answer_holds_are_all_listed(store: Store) -> None:
    keys = [f"many/{number:04d}" for number in range(1100)]
    store.put_all((key, b"") for key in keys)

    assert keys_of(store, "many/") == keys
    assert keys_of(store, "many/", limit=1050) == keys[:1050]


def test_more_keys_than_one_request_takes_are_all_deleted(store: Store) -> None:
    keys = [f"many/{number:04d}" for number in range(1100)]
    store.put_all((key, b"") for key in keys)

    store.delete(keys)

    assert keys_of(store, "") == []


def test_a_limit_of_nothing_is_nothing(store: Store) -> None:
    store.put("a", b"")

    assert keys_of(store, "", limit=0) == []


_PARTS = st.text(st.sampled_from("ab-.0~é\ufffd😀"), min_size=1)
_KEYS = st.lists(_PARTS.filter(lambda part: part not in {".", ".."}), min_size=1, max_size=3).map(
    "/".join
)


def _without_conflicts(keys: set[str]) -> list[str]:
    """Those that are no folder of another: neither a file system nor the layout has them."""
    return [key for key in keys if not any(other.startswith(f"{key}/") for other in keys)]


def _on_paper(keys: list[str], prefix: str, after: str, *, folders: bool) -> list[str]:
    found = set()
    for key in keys:
        if key.startswith(prefix):
            head, slash, _ = key.removeprefix(prefix).partition("/")
            found.add(prefix + head + slash if folders else key)
    return sorted((each for each in found if each > after), key=lambda each: each.encode())


_numbers = count()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    keys=st.sets(_KEYS, max_size=8).map(_without_conflicts),
    prefix=st.one_of(st.just(""), _KEYS, _KEYS.map("{}/".format)),
    after=st.one_of(st.just(""), _KEYS, _KEYS.map("{}/".format)),
    folders=st.booleans(),
    limit=st.one_of(st.none(), st.integers(1, 4)),
)
def test_a_listing_is_what_it_is_on_paper(
    place: StorePlace, keys: list[str], prefix: str, after: str, folders: bool, limit: int | None
) -> None:
    store = place.elsewhere(f"example-{next(_numbers)}")
    store.put_all((key, b"") for key in keys)

    listed = [each.key for each in store.list(prefix, folders=folders, limit=limit, after=after)]

    assert listed == _on_paper(keys, prefix, after, folders=folders)[:limit]


@pytest.mark.parametrize("after", ["a/1", "a/2", "a/20", "b"])
def test_after_need_not_be_a_key(store: Store, after: str) -> None:
    keys = ["a/1", "a/2/x", "a/3", "b/1"]
    store.put_all((key, b"") for key in keys)

    assert keys_of(store, "", after=after) == [key for key in keys if key > after]
