"""Evolution: today's schemas and every released one read each other, and the check that says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import pytest
from fastavro.read import SchemaResolutionError
from fastavro.utils import generate_many

from eventflow.codec.records import RECORDS
from eventflow.codec.schemas import schema_text
from tests.support.schema_evolution import incompatibilities

RELEASED = sorted((Path(__file__).parents[2] / "schemas" / "released").glob("*/*.avsc"))
NAMES = {*RECORDS, "Cause"}


def test_every_schema_and_each_released_version_of_it_read_each_other() -> None:
    assert [problem for path in RELEASED for problem in released_problems(path)] == []


def released_problems(path: Path) -> tuple[str, ...]:
    """What is wrong between a released schema and today's schema of that name."""
    if path.stem not in NAMES:
        return (f"{path.stem} was released in {path.parent.name} and has no schema any more",)
    return incompatibilities(json.loads(path.read_text()), json.loads(schema_text(path.stem)))


def test_a_released_schema_is_compared_with_todays_of_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "0.1.0"
    folder.mkdir()
    same, changed, gone = (folder / f"{name}.avsc" for name in ("Event", "Decision", "Gone"))
    same.write_text(schema_text("Event"))
    changed.write_text(schema_text("Decision").replace('"int"', '"long"'))
    gone.write_text(schema_text("Event"))

    assert released_problems(same) == ()
    assert any("Decision.version" in problem for problem in released_problems(changed))
    assert released_problems(gone) == ("Gone was released in 0.1.0 and has no schema any more",)


ORDER: dict[str, Any] = {
    "type": "record",
    "name": "Order",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "count", "type": "int", "default": 0},
        {"name": "note", "type": ["null", "string"], "default": None},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {
            "name": "lines",
            "type": {
                "type": "array",
                "items": {
                    "type": "record",
                    "name": "Line",
                    "fields": [{"name": "sku", "type": "string"}],
                },
            },
            "default": [],
        },
        {"name": "tags", "type": {"type": "map", "values": "string"}, "default": {}},
        {"name": "last", "type": ["null", "Line"], "default": None},
    ],
}
Change = Callable[[dict[str, Any]], None]


def add(field: dict[str, Any]) -> Change:
    return lambda order: order["fields"].append(field)


def add_to_line(field: dict[str, Any]) -> Change:
    return lambda order: order["fields"][4]["type"]["items"]["fields"].append(field)


def remove(index: int) -> Change:
    return lambda order: order["fields"].pop(index)


def change(index: int, **values: Any) -> Change:
    return lambda order: order["fields"][index].update(values)


def swap(order: dict[str, Any]) -> None:
    order["fields"].insert(0, order["fields"].pop(1))


def document(order: dict[str, Any]) -> None:
    order["doc"] = "An order."


def changed(evolve: Change) -> dict[str, Any]:
    order = deepcopy(ORDER)
    evolve(order)
    return order


GOOD = {
    "a doc": document,
    "a new field with a default": add({"name": "vip", "type": "boolean", "default": False}),
    "a new nullable field": add({"name": "by", "type": ["null", "string"], "default": None}),
    "a new list": add({"name": "x", "type": {"type": "array", "items": "long"}, "default": []}),
    "a new nullable field of a nested record": add_to_line(
        {"name": "price", "type": ["null", "double"], "default": None}
    ),
    "a field with a default removed": remove(1),
    "a nullable record removed": remove(6),
    "another order of the fields": swap,
}
BAD = {
    "a new field without default": (add({"name": "vip", "type": "boolean"}), "Order.vip: no plain"),
    "a new field of a nested record without default": (
        add_to_line({"name": "price", "type": "double"}),
        "Order.lines[].price: no plain",
    ),
    "a field without default removed": (remove(0), "Order.id: no plain"),
    "a field renamed": (change(0, name="key"), "Order.key: no plain"),
    "int to long": (change(1, type="long"), "new records by the old schema: Order.count: long"),
    "string to int": (change(0, type="int"), "Order.id: string is not read as int"),
    "a field of a nested record": (
        lambda order: order["fields"][4]["type"]["items"]["fields"][0].update(type="boolean"),
        "Order.lines[].sku: string is not read as boolean",
    ),
    "the values of a map": (
        change(5, type={"type": "map", "values": "boolean"}),
        "Order.tags{}: string is not read as boolean",
    ),
    "nullable to not": (
        change(2, type="string", default=""),
        "Order.note: null is not read as string",
    ),
    "another branch": (
        change(2, type=["null", "boolean"]),
        "Order.note: no branch of the union takes string",
    ),
    "another name": (lambda order: order.update(name="Sale"), "Order is not Sale"),
}
# fastavro reads these, as something that our records are not.
STRICTER = {
    "a time without its unit": (change(3, type="long"), "Order.at: timestamp-micros is not None"),
    "a new time with a number for a default": (
        add({"name": "x", "type": ORDER["fields"][3]["type"], "default": 0}),
        "Order.x: no plain",
    ),
    "new bytes with a default": (
        add({"name": "x", "type": "bytes", "default": ""}),
        "Order.x: no plain",
    ),
    "a new record with a default": (
        add({"name": "x", "type": "Line", "default": {"sku": ""}}),
        "Order.x: no plain",
    ),
}


@pytest.mark.parametrize("evolve", GOOD.values(), ids=GOOD)
def test_a_good_evolution_is_compatible(evolve: Change) -> None:
    assert incompatibilities(ORDER, changed(evolve)) == ()


@pytest.mark.parametrize(("evolve", "problem"), BAD.values(), ids=BAD)
def test_a_bad_evolution_is_named_with_its_field_and_direction(
    evolve: Change, problem: str
) -> None:
    problems = incompatibilities(ORDER, changed(evolve))

    assert any(problem in each for each in problems), problems


@pytest.mark.parametrize(
    "evolve",
    [*GOOD.values(), *(evolve for evolve, _ in BAD.values())],
    ids=[*GOOD, *BAD],
)
def test_the_check_agrees_with_what_fastavro_reads(evolve: Change) -> None:
    new = changed(evolve)

    is_read = reads(ORDER, new) and reads(new, ORDER)

    assert is_read == (incompatibilities(ORDER, new) == ())


@pytest.mark.parametrize(("evolve", "problem"), STRICTER.values(), ids=STRICTER)
def test_the_check_is_stricter_where_a_value_would_not_be_one_of_ours(
    evolve: Change, problem: str
) -> None:
    new = changed(evolve)

    problems = incompatibilities(ORDER, new)

    assert any(problem in each for each in problems), problems
    assert reads(ORDER, new)


def reads(writer: Any, reader: Any) -> bool:
    """Whether fastavro reads generated records of one schema by the other."""
    written = fastavro.parse_schema(deepcopy(writer), named_schemas={})
    read = fastavro.parse_schema(deepcopy(reader), named_schemas={})
    for record in generate_many(written, 20):
        body = BytesIO()
        fastavro.schemaless_writer(body, written, record)
        body.seek(0)
        try:
            fastavro.schemaless_reader(body, written, read)
        except SchemaResolutionError:
            return False
    return True
