"""A configuration as steps see it: a dict, read by attribute too, which nobody changes."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from eventflow.errors import AuthorError, ConfigReadOnly
from eventflow.model.config_value import ConfigValue, plain
from eventflow.store.encoders import decode, encode

VALUE = ConfigValue({"table": {"name": "t", "days": [{"n": 1}, 2]}, "items": 3})


def test_attributes_and_items_are_the_same_however_deep() -> None:
    seen = (VALUE.table.name, VALUE["table"]["name"], VALUE.table.days[0].n, VALUE["items"])

    assert seen == ("t", "t", 1, 3)
    assert "name" in VALUE.table
    assert {**VALUE.table}["name"] == "t"


def test_what_is_not_there_is_an_attribute_error_or_a_key_error_that_says_what_is() -> None:
    with pytest.raises(AttributeError, match="no 'nmae'; it has: name, days") as by_name:
        _ = VALUE.table.nmae
    with pytest.raises(KeyError, match="no 'nmae'; it has: name, days") as by_key:
        _ = VALUE.table["nmae"]
    assert all(isinstance(each.value, AuthorError) for each in (by_name, by_key))
    assert not hasattr(VALUE, "nothing")
    assert VALUE.get("nothing") is None


CHANGES: dict[str, Callable[[Any], object]] = {
    "attribute": lambda value: setattr(value, "table", 1),
    "new attribute": lambda value: setattr(value, "new", 1),
    "no attribute": lambda value: delattr(value, "table"),
    "item": lambda value: value.__setitem__("table", 1),
    "inner item": lambda value: value.table.__setitem__("name", 1),
    "no item": lambda value: value.__delitem__("table"),
    "update": lambda value: value.update(table=1),
    "or": lambda value: value.__ior__({"table": 1}),
    "setdefault": lambda value: value.setdefault("new", 1),
    "pop": lambda value: value.pop("table"),
    "popitem": lambda value: value.popitem(),
    "clear": lambda value: value.clear(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_it_cannot_be_changed(change: str) -> None:
    value = ConfigValue({"table": {"name": "t"}})

    with pytest.raises(ConfigReadOnly, match="cannot be changed"):
        CHANGES[change](value)

    assert value == {"table": {"name": "t"}}
    with pytest.raises(TypeError):
        CHANGES[change](value)


def test_to_dict_gives_plain_dicts_of_ones_own() -> None:
    own = VALUE.to_dict()

    own["table"]["days"][0]["n"] = 5

    assert type(own["table"]["days"][0]) is dict
    assert VALUE.table.days[0].n == 1
    assert plain([VALUE.table]) == [{"name": "t", "days": [{"n": 1}, 2]}]


def test_copies_pickles_and_json_keep_it() -> None:
    copies = [
        copy.copy(VALUE),
        copy.deepcopy(VALUE),
        VALUE.copy(),
        pickle.loads(pickle.dumps(VALUE)),
    ]

    assert all(type(each) is ConfigValue and each == VALUE for each in copies)
    assert json.loads(json.dumps(VALUE)) == VALUE.to_dict()


def test_as_an_artifact_it_is_read_without_unpickling() -> None:
    encoded = encode(VALUE)

    value = decode(encoded.encoder, encoded.data, allow_pickle=False)

    assert (encoded.encoder, value.table.days[0].n) == ("config", 1)
