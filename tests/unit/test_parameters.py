"""Parameters: how they are declared, and what is taken for their values."""

from __future__ import annotations

import pytest

from eventflow.authoring.deploy_context import DeployContext
from eventflow.authoring.flow_spec import FlowSpec
from eventflow.authoring.parameter import JSONType, Parameter
from eventflow.authoring.parameters import (
    RESERVED_OPTIONS,
    parameter_specs,
    read_values,
    text_values,
)
from eventflow.errors import InvalidParameter
from eventflow.model.deployment import ParameterSpec, ParameterType


class Base(FlowSpec):
    day = Parameter("day", required=True, help="which day")


class Train(Base):
    rate = Parameter("learning-rate", default=0.5)
    rows = Parameter("rows", default=10)
    dry = Parameter("dry", default=False)
    title = Parameter("title", default="all")
    options = Parameter("options", type=JSONType, default='{"a": [1, null]}')
    weights = Parameter("weights", default=[1, 2])
    scale = Parameter("scale", type=float, default=2)
    who = Parameter("who", default=lambda context: f"{context.user_name}/{context.parameter_name}")
    none = Parameter("none", type=int)


SPECS = parameter_specs(Train, DeployContext("Train", "ann"))


def test_types_are_those_of_the_defaults_and_bases_come_first() -> None:
    types = {spec.name: (spec.type, spec.default) for spec in SPECS}

    assert types == {
        "day": (ParameterType.STR, None),
        "learning-rate": (ParameterType.FLOAT, "0.5"),
        "rows": (ParameterType.INT, "10"),
        "dry": (ParameterType.BOOL, "false"),
        "title": (ParameterType.STR, '"all"'),
        "options": (ParameterType.JSON, '{"a":[1,null]}'),
        "weights": (ParameterType.JSON, "[1,2]"),
        "scale": (ParameterType.FLOAT, "2.0"),
        "who": (ParameterType.STR, '"ann/who"'),
        "none": (ParameterType.INT, None),
    }
    assert next(iter(types)) == "day"


def test_only_what_is_said_to_be_required_is() -> None:
    required = [spec.name for spec in SPECS if spec.is_required]

    assert required == ["day"]
    assert SPECS[0] == ParameterSpec("day", ParameterType.STR, None, True, "which day")


def test_a_default_makes_a_required_parameter_optional() -> None:
    parameter = Parameter("x", default=1, required=True)

    assert not parameter.is_required


def test_typed_values_are_converted_and_defaults_filled_in() -> None:
    given = {"day": "2013-01-05", "rows": "20", "dry": "TRUE", "options": "[1]"}

    values = read_values(text_values(SPECS, given))

    assert values == {
        "day": "2013-01-05",
        "learning-rate": 0.5,
        "rows": 20,
        "dry": True,
        "title": "all",
        "options": [1],
        "weights": [1, 2],
        "scale": 2.0,
        "who": "ann/who",
    }


def test_all_that_is_wrong_with_typed_values_is_said_at_once() -> None:
    given = {"rows": "ten", "dry": "maybe", "options": "{", "Day": "1"}

    with pytest.raises(InvalidParameter) as caught:
        text_values(SPECS, given)

    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "Parameter 'rows'",
        "Parameter 'dry'",
        "Parameter 'options'",
        "There is no parameter 'Day'; there is",
        "Parameter 'day' has to be given",
    ]


@pytest.mark.parametrize(
    ("kind", "typed", "value"),
    [
        *[("bool", text, True) for text in ("true", "True", "1", "t", "yes", "Y", "on")],
        *[("bool", text, False) for text in ("false", "FALSE", "0", "f", "no", "n", "off")],
        ("int", "-3", -3),
        ("float", "2", 2.0),
        ("str", "2", "2"),
        ("str", "", ""),
        ("json", '{"a": [1, null]}', {"a": [1, None]}),
    ],
)
def test_what_is_typed_for_a_type_becomes_its_value(kind: str, typed: str, value: object) -> None:
    spec = ParameterSpec("x", ParameterType(kind), None, False)

    values = read_values(text_values([spec], {"x": typed}))

    assert values == {"x": value}
    assert type(values["x"]) is type(value)


@pytest.mark.parametrize(
    ("kind", "typed", "message"),
    [
        ("int", "1.5", "'1.5' is no value of type int; write a whole number of at most 64 bits."),
        ("int", "9" * 19, "write a whole number of at most 64 bits."),
        ("float", "nan", "'nan' is no value of type float; write a finite number."),
        ("bool", "maybe", "'maybe' is no value of type bool; write true or false."),
        ("json", "{'a': 1}", "write JSON, which has strings in double quotes."),
        ("str", "a\udcff", "'a\\udcff' is no text in UTF-8."),
        ("config", "{}", "it is a configuration, set when the flow is deployed."),
    ],
)
def test_what_a_type_does_not_take_is_said_with_what_it_does(
    kind: str, typed: str, message: str
) -> None:
    spec = ParameterSpec("x", ParameterType(kind), None, False)

    with pytest.raises(InvalidParameter) as caught:
        text_values([spec], {"x": typed})

    assert str(caught.value).startswith("Parameter 'x': ")
    assert str(caught.value).endswith(message)
    assert "ayload" not in str(caught.value)


def test_a_separator_makes_steps_see_the_parts() -> None:
    class Parts(FlowSpec):
        parts = Parameter("parts", default="a, b", separator=", ")
        none = Parameter("none", separator=",")

    given = [
        read_values(text_values(parameter_specs(Parts), typed)) for typed in ({}, {"parts": ""})
    ]
    tasks = [Parts(use_cli=False) for _ in given]
    for task, values in zip(tasks, given, strict=True):
        task._bind({}, None, values)

    assert given[0] == {"parts": "a, b"}
    assert [(task.parts, task.none) for task in tasks] == [(["a", "b"], None), ("", None)]
    assert tasks[0]._new_artifacts() == {"parts": ["a", "b"], "none": None}


def test_the_names_that_metaflow_reserves_are_reserved() -> None:
    reserved = (
        *("params", "with", "tag", "namespace", "obj", "tags", "decospecs", "run-id-file"),
        *("max-num-splits", "max-workers", "max-log-size", "user-namespace", "run-id", "task-id"),
        "runner-attribute-file",
    )

    assert set(reserved) <= RESERVED_OPTIONS


def test_a_default_that_is_computed_has_to_be_of_the_type() -> None:
    class Odd(FlowSpec):
        rows = Parameter("rows", type=int, default=lambda context: context.user_name)

    with pytest.raises(InvalidParameter, match="default of parameter 'rows': 'ann' is no value"):
        parameter_specs(Odd, DeployContext("Odd", "ann"))


def test_all_computed_defaults_that_fail_are_said_with_their_places() -> None:
    class Failing(FlowSpec):
        a = Parameter("a", default=lambda _: 1 / 0)
        b = Parameter("b", type=int, default=lambda _: "x")

    with pytest.raises(InvalidParameter) as caught:
        parameter_specs(Failing)

    first, second = str(caught.value).splitlines()
    assert first.startswith(f"{__file__}:")
    assert first.endswith("default of parameter 'a' failed: ZeroDivisionError: division by zero.")
    assert second.startswith(f"{__file__}:")
    assert "'x' is no value of type int" in second


def test_a_computed_default_sees_where_the_flow_will_live() -> None:
    class Placed(FlowSpec):
        table = Parameter("table", default=lambda c: f"{c.project_name}_{c.branch_name}")

    (spec,) = parameter_specs(Placed, DeployContext("Placed", "ann", "shop/test.b"))

    assert spec.default == '"shop_test.b"'
