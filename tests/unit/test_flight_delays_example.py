"""The parts of examples/flight_delays as plain functions: data, landing area, model, cache."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from eventflow import app, context
from eventflow.authoring.deploy_context import DeployContext
from eventflow.settings import Settings
from examples.flight_delays.chains import Chains

FOLDER = Path(__file__).parents[2] / "examples" / "flight_delays"
NEW_YEAR = date(2013, 1, 1)
PROD = "flight_delays/prod"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """Imports a module of the example by its name, as the flows do; the store is a new folder."""
    monkeypatch.syspath_prepend(str(FOLDER))
    connected = app.connect(Settings(home=tmp_path))
    with context.using(connected):
        yield import_module
    connected.close()


def _flights(*rows: tuple[str, float | None]) -> pa.Table:
    """Flights of a carrier, so and so many minutes late, or never arrived."""
    carriers, delays = zip(*rows, strict=True)
    count = len(rows)
    return pa.table(
        {
            "carrier": list(carriers),
            "flight": list(range(count)),
            "origin": ["JFK"] * count,
            "dest": ["BOS"] * count,
            "hour": [6] * count,
            "sched_dep_time": [600] * count,
            "arr_delay": pa.array(delays, pa.float64()),
        }
    )


def test_the_data_are_all_336776_flights_of_2013(example: Any) -> None:
    flights: ModuleType = example("flights")

    table = flights.all_flights()

    assert table.num_rows == 336_776
    assert set(table["year"].to_pylist()) == {2013}


def test_no_two_flights_of_a_day_have_the_same_name(example: Any) -> None:
    flights, model = example("flights"), example("delay_model")
    days = [NEW_YEAR + timedelta(days=number) for number in range(365)]

    names = [list(model.names_of(flights.plan_of(day))) for day in days]

    assert [len(each) for each in names] == [len(set(each)) for each in names]


def test_the_plan_of_a_day_says_nothing_of_what_happened(example: Any) -> None:
    flights: ModuleType = example("flights")

    plan = flights.plan_of(NEW_YEAR)

    assert plan.num_rows == flights.flights_of(NEW_YEAR).num_rows == 842
    assert not {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"} & set(
        plan.column_names
    )


def test_a_file_that_has_landed_is_never_replaced(example: Any) -> None:
    landing: ModuleType = example("landing")
    key = landing.flights_key(NEW_YEAR)
    first = landing.land(key, _flights(("UA", 1.0), ("UA", 2.0)))

    second = landing.land(key, _flights(("AA", 9.0)))

    assert second == first
    assert landing.read(key)["carrier"].to_pylist() == ["UA", "UA"]


def test_a_model_sees_the_days_up_to_its_own_and_no_later_one(example: Any) -> None:
    landing: ModuleType = example("landing")
    keys = [landing.flights_key(NEW_YEAR + timedelta(days=number)) for number in range(3)]
    for key in reversed(keys):
        landing.land(key, _flights(("UA", 1.0)))

    seen = landing.landed_until(keys[1])

    assert seen == keys[:2]


def test_a_day_that_lands_twice_is_announced_with_the_same_words(example: Any) -> None:
    etl: ModuleType = example("etl")
    first = etl.land_day(NEW_YEAR)

    second = etl.land_day(NEW_YEAR)

    assert second == first
    assert (first["date"], first["rows"]) == ("2013-01-01", 842)


def test_the_model_learns_which_carrier_is_late(example: Any) -> None:
    model: ModuleType = example("delay_model")
    flights = _flights(*[("EV", 30.0)] * 200, *[("HA", -10.0)] * 200)

    fitted = model.fit(flights, model.RECIPES["plain"])

    late, early = fitted["minutes"]["carrier=EV"], fitted["minutes"]["carrier=HA"]
    assert fitted["mean"] == pytest.approx(10.0)
    assert (late, early) == (pytest.approx(20.0, rel=0.1), pytest.approx(-20.0, rel=0.1))


def test_a_flight_that_never_arrived_teaches_nothing_and_is_not_measured(example: Any) -> None:
    model: ModuleType = example("delay_model")
    flights = _flights(("EV", 5.0), ("EV", None))

    fitted = model.fit(flights, model.RECIPES["plain"])
    off = model.errors(model.predict(fitted, flights), flights)

    assert fitted["mean"] == 5.0
    assert off == [pytest.approx(0.0)]


def test_the_capped_recipe_takes_three_hours_for_half_an_hour(example: Any) -> None:
    model: ModuleType = example("delay_model")

    fitted = model.fit(_flights(("EV", 180.0), ("EV", -180.0)), model.RECIPES["capped"])
    capped = model.fit(_flights(("EV", 180.0)), model.RECIPES["capped"])

    assert (fitted["mean"], capped["mean"]) == (0.0, 30.0)


def test_what_was_never_seen_adds_nothing_to_a_prediction(example: Any) -> None:
    model: ModuleType = example("delay_model")

    predictions = model.predict(
        {"mean": 7.0, "minutes": {"carrier=EV": 3.0}}, _flights(("EV", None), ("ZZ", None))
    )

    assert predictions == {"EV0 JFK-BOS 0600": 10.0, "ZZ1 JFK-BOS 0600": 7.0}


def test_a_model_is_plain_data(example: Any) -> None:
    model: ModuleType = example("delay_model")

    fitted = model.fit(_flights(("EV", 5.0)), model.RECIPES["plain"])

    assert {type(value) for value in (fitted["mean"], *fitted["minutes"].values())} == {float}
    assert not any(isinstance(value, np.generic) for value in fitted["minutes"].values())


def test_the_challenger_learns_by_another_recipe_than_the_champion(example: Any) -> None:
    train: ModuleType = example("train")

    recipes = [
        train.recipe_of(DeployContext("TrainDelayModel", "me", f"flight_delays/{branch}"))
        for branch in ("prod", "test.new_model", "user.me")
    ]

    assert recipes == ["plain", "capped", "capped"]


def test_a_repeated_put_leaves_one_prediction_a_flight(example: Any) -> None:
    cache = example("prediction_cache").PredictionCache("prod")
    cache.put("2013-01-02", {"UA1": 1.0, "AA2": 9.0}, made_by="first")

    cache.put("2013-01-02", {"UA1": 1.0, "AA2": 9.0}, made_by="again")

    seen = [(each.flight, each.minutes, each.made_by) for each in cache.of("2013-01-02")]
    assert seen == [("AA2", 9.0, "again"), ("UA1", 1.0, "again")]


def test_the_cache_of_a_branch_holds_nothing_of_another(example: Any) -> None:
    caches: ModuleType = example("prediction_cache")

    caches.PredictionCache("test.new_model").put("2013-01-02", {"UA1": 1.0}, made_by="challenger")

    assert caches.PredictionCache("prod").of("2013-01-02") == []


def _log() -> list[dict[str, Any]]:
    """An event that starts a, whose end starts b, in two namespaces."""

    def decision(namespace: str, origin: str, flow: str, run_id: str) -> dict[str, Any]:
        said = {"kind": "decision", "namespace": namespace, "origin": origin, "flow": flow}
        return {**said, "run_id": run_id, "verdict": "started", "reason": ""}

    def completion(namespace: str, offset: str, flow: str, run_id: str) -> dict[str, Any]:
        said = {"kind": "completion", "namespace": namespace, "offset": offset, "flow": flow}
        return {**said, "run_id": run_id, "outcome": "succeeded", "reason": ""}

    return [
        {"kind": "event", "id": "e", "offset": "events/0/1", "namespace": "flight_delays/*"},
        decision(PROD, "events/0/1", "A", "a"),
        decision("flight_delays/test.b", "events/0/1", "A", "other"),
        completion(PROD, "events/1/5", "A", "a"),
        decision(PROD, "events/1/5", "B", "b"),
        completion(PROD, "events/1/9", "B", "b"),
    ]


@pytest.mark.parametrize("seed", range(20))
def test_chains_are_the_same_in_whatever_order_the_log_is_read(seed: int) -> None:
    lines, chains = _log(), Chains()
    random.Random(seed).shuffle(lines)

    for line in lines:
        chains.add(line)

    runs = [(link.flow, link.run_id, link.outcome) for link in chains.links("e", PROD)]
    assert runs == [("A", "a", "succeeded"), ("B", "b", "succeeded")]
    assert chains.refusals("e", PROD) == []


@pytest.mark.parametrize(
    ("extra", "refusal"),
    [
        ({"run_id": "twice", "verdict": "started"}, "A started twice"),
        ({"run_id": None, "verdict": "dead letter", "reason": "no key"}, "A: dead letter no key"),
    ],
)
def test_a_chain_that_goes_wrong_says_why(extra: dict[str, Any], refusal: str) -> None:
    chains = Chains()
    for line in _log():
        chains.add(line)

    chains.add({**_log()[1], **extra})

    assert refusal in chains.refusals("e", PROD)
