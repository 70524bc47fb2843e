"""How late does a flight arrive? A linear model that anybody can read.

A model is plain data, so it is stored as JSON, and needs no class to be read again:

    {"mean": 6.4, "minutes": {"hour=6": -11.2, "carrier=EV": 9.8, "origin=JFK": -1.3, …}}

Each trait of a flight adds its minutes to the mean. They are fitted by ridge regression.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas  # noqa: F401  pyarrow would import it in every task; here it is warm once for all
import pyarrow as pa
import pyarrow.compute as pc

RIDGE = 10.0  # as if each trait had been seen ten times more, adding nothing


@dataclass(frozen=True)
class Recipe:
    """What a model looks at, and from how many minutes on one delay is like another."""

    traits: tuple[str, ...]
    cap: float


RECIPES = {
    "plain": Recipe(traits=("hour", "carrier", "origin"), cap=float("inf")),
    "capped": Recipe(traits=("hour", "carrier", "origin", "dest"), cap=30.0),
}


def fit(flights: pa.Table, recipe: Recipe) -> dict[str, Any]:
    """The model of all flights that arrived."""
    arrived = flights.filter(pc.is_valid(flights["arr_delay"]))
    delay = np.clip(arrived["arr_delay"].to_numpy().astype(float), -recipe.cap, recipe.cap)
    names: list[str] = []
    columns = []
    for trait in recipe.traits:
        values, codes = _coded(arrived, trait)
        names += [f"{trait}={value}" for value in values]
        columns.append(np.eye(len(values))[codes])
    x, mean = np.hstack(columns), delay.mean()
    minutes = np.linalg.solve(x.T @ x + RIDGE * np.eye(len(names)), x.T @ (delay - mean))
    return {"mean": float(mean), "minutes": dict(zip(names, minutes.tolist(), strict=True))}


def predict(model: dict[str, Any], plan: pa.Table) -> dict[str, float]:
    """Minutes late, by flight. What was never seen adds nothing."""
    minutes = np.full(plan.num_rows, model["mean"])
    for trait in {name.partition("=")[0] for name in model["minutes"]}:
        values, codes = _coded(plan, trait)
        known = [model["minutes"].get(f"{trait}={value}", 0.0) for value in values]
        minutes += np.array(known)[codes]
    return dict(zip(names_of(plan), minutes.round(1).tolist(), strict=True))


def errors(predictions: dict[str, float], flights: pa.Table) -> list[float]:
    """How many minutes each prediction was off, for the flights that arrived."""
    delays = zip(names_of(flights), flights["arr_delay"].to_pylist(), strict=True)
    return [abs(predictions[name] - late) for name, late in delays if late is not None]


def names_of(flights: pa.Table) -> Iterator[str]:
    """`UA1545 EWR-IAH 0515`: no two flights of a day have the same."""
    parts = ("carrier", "flight", "origin", "dest", "sched_dep_time")
    for carrier, number, origin, dest, at in zip(
        *(flights[part].to_pylist() for part in parts), strict=True
    ):
        yield f"{carrier}{number} {origin}-{dest} {at:04d}"


def _coded(flights: pa.Table, trait: str) -> tuple[list[Any], np.ndarray[Any, Any]]:
    """The different values of a column, and for each row the place of its value among them."""
    coded = flights[trait].combine_chunks().dictionary_encode()
    return coded.dictionary.to_pylist(), coded.indices.to_numpy()
