"""Writes that decide something, on each backend: one winner, and each writer knows whether."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from eventflow.effects import SystemIds
from eventflow.errors import CorruptObject, ObjectMissing, StoreUnsuitable
from eventflow.store.deciding import Decided, decide, read_json
from eventflow.store.port import Store
from eventflow.store.probe import probe
from tests.contract.store_doubles import LosesAnswers, RefusesAll, TakesAll
from tests.contract.store_fixtures import StorePlace, place, store

__all__ = ["place", "store"]


def test_the_first_decision_stands_and_every_writer_reads_it(store: Store) -> None:
    first = decide(store, "end.json", {"outcome": "succeeded"}, nonce="a")
    second = decide(store, "end.json", {"outcome": "failed"}, nonce="b")

    assert first.is_mine
    assert not second.is_mine
    assert first.content == second.content == {"nonce": "a", "outcome": "succeeded"}
    assert read_json(store, "end.json") == first.content


def test_a_writer_whose_answer_was_lost_knows_that_it_won(store: Store) -> None:
    losing = LosesAnswers(store)

    decided = decide(losing, "end.json", {"outcome": "succeeded"}, nonce="a")

    assert losing.lost == ["end.json"]
    assert decided == Decided(is_mine=True, content={"nonce": "a", "outcome": "succeeded"})


def test_of_32_racing_deciders_exactly_one_wins_though_answers_are_lost(place: StorePlace) -> None:
    stores = [place.open() if number % 2 else LosesAnswers(place.open()) for number in range(4)]
    together = Barrier(32)

    def write(writer: int, round_: int) -> Decided:
        together.wait()
        return decide(stores[writer % 4], f"race/{round_}", {"by": writer}, nonce=str(writer))

    with ThreadPoolExecutor(32) as writers:
        for round_ in range(20):
            decided = list(writers.map(write, range(32), [round_] * 32))

            winners = [writer for writer, each in enumerate(decided) if each.is_mine]
            assert len(winners) == 1
            assert {each.content["by"] for each in decided} == {winners[0]}


def _decide_each(place: StorePlace, writer: str, keys: list[str]) -> list[str]:
    store = place.open()
    return [key for key in keys if decide(store, key, {}, nonce=writer).is_mine]


def test_of_racing_processes_exactly_one_wins_each_key(place: StorePlace) -> None:
    if not place.is_shared:
        pytest.skip("a store in memory, that no other process sees")
    keys = [f"race/{number:03d}" for number in range(100)]

    with multiprocessing.get_context("spawn").Pool(3) as pool:
        won = pool.starmap(_decide_each, [(place, writer, keys) for writer in "abc"], chunksize=1)

    assert sorted(key for each in won for key in each) == keys


def test_what_is_no_json_object_is_corrupt(store: Store) -> None:
    store.put("text", b"{half")
    store.put("list", b"[]")
    store.put("bytes", b"\xff")

    for key in ("text", "list", "bytes"):
        with pytest.raises(CorruptObject, match=key):
            read_json(store, key)


def test_reading_an_undecided_key_is_missing(store: Store) -> None:
    with pytest.raises(ObjectMissing):
        read_json(store, "end.json")


def test_the_probe_accepts_a_good_store_and_leaves_nothing(store: Store) -> None:
    probe(store, SystemIds())

    assert list(store.list("")) == []


def test_the_probe_accepts_a_store_that_loses_answers(store: Store) -> None:
    probe(LosesAnswers(store), SystemIds())


def test_the_probe_refuses_a_store_that_ignores_the_condition(store: Store) -> None:
    with pytest.raises(StoreUnsuitable, match="2 of two writers of a new key won"):
        probe(TakesAll(store), SystemIds())


def test_the_probe_refuses_a_store_in_which_nobody_wins(store: Store) -> None:
    with pytest.raises(StoreUnsuitable, match="none of two writers"):
        probe(RefusesAll(store), SystemIds())
