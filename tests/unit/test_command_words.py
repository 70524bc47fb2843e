"""Python values become the words that somebody would type; what cannot is an error by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eventflow.errors import InvalidOption
from eventflow.programmatic.options import FlowOptions, text_of, words_of

NOTHING = (
    "object is nothing that a command line can carry: give text, a number, a bool, or a list or"
    " dict of these."
)

BEFORE = "It has: branch, config_value, production."
AFTER = "It has: alpha, decospecs, live, set_here, tags, with_dash."


def _option(*spellings: str, **said: Any) -> dict[str, Any]:
    plain = {
        "secondary_opts": [],
        "is_option": True,
        "is_flag": False,
        "multiple": False,
        "nargs": 1,
    }
    return {"name": "any", "opts": list(spellings), **plain, **said}


OPTIONS = FlowOptions.from_json(
    {
        "flow": "F",
        "options": [
            _option("--branch"),
            _option("--production", is_flag=True),
            _option("--config-value", multiple=True, nargs=2),
        ],
        "commands": {
            "run": [
                _option("--alpha"),
                _option("--with-dash"),
                _option("--set-here"),
                _option("--tag", multiple=True),
                _option("--with", multiple=True),
                _option("--live", is_flag=True, secondary_opts=["--no-live"]),
                _option("step", is_option=False),
            ],
            "show": [],
        },
    }
)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"alpha": "a b"}, ["--alpha=a b"]),
        ({"alpha": "--looks-like-an-option"}, ["--alpha=--looks-like-an-option"]),
        ({"alpha": 3}, ["--alpha=3"]),
        ({"alpha": -0.5}, ["--alpha=-0.5"]),
        ({"alpha": True}, ["--alpha=true"]),
        ({"alpha": ["a", {"b": None}]}, ['--alpha=["a", {"b": null}]']),
        ({"alpha": Path("a/b")}, ["--alpha=a/b"]),
        ({"alpha": None}, []),
        ({"with_dash": 1}, ["--with-dash=1"]),
        ({"tag": ["a", "b"]}, ["--tag=a", "--tag=b"]),
        ({"tags": ("a", "b")}, ["--tag=a", "--tag=b"]),
        ({"tag": "a"}, ["--tag=a"]),
        ({"decospecs": ["retry"]}, ["--with=retry"]),
        ({"live": True}, ["--live"]),
        ({"live": False}, ["--no-live"]),
    ],
)
def test_a_value_is_typed_as_its_option_takes_it(given: dict[str, Any], words: list[str]) -> None:
    assert OPTIONS.words("run", {}, given) == ["run", *words]


def test_options_of_the_flow_stand_before_the_command() -> None:
    before = {"branch": "b", "production": True}

    assert OPTIONS.words("run", before, {"alpha": 1}) == [
        *("--branch=b", "--production", "run", "--alpha=1")
    ]
    assert OPTIONS.words("run", {"production": False}, {}) == ["run"]


@pytest.mark.parametrize("given", [{"limits": {"rows": 3}}, [("limits", {"rows": 3})]])
def test_an_option_with_several_values_takes_a_dict_or_a_list_of_groups(given: Any) -> None:
    words = OPTIONS.words("show", {"config_value": given}, {})

    assert words == ["--config-value", "limits", '{"rows": 3}', "show"]


@pytest.mark.parametrize("given", ["limits", [("limits",)], [3]])
def test_a_group_with_too_few_values_is_an_error(given: Any) -> None:
    with pytest.raises(InvalidOption, match="option 'config_value'"):
        OPTIONS.words("show", {"config_value": given}, {})


def test_all_mistakes_are_told_at_once_with_what_there_is() -> None:
    with pytest.raises(InvalidOption) as caught:
        OPTIONS.words("run", {"brunch": 1}, {"alpa": 1, "live": "yes", "alpha": object()})

    lines = str(caught.value).splitlines()
    assert lines == [
        f"F, before a command, has no option 'brunch'; did you mean 'branch'? {BEFORE}",
        f"F run has no option 'alpa'; did you mean 'alpha'? {AFTER}",
        "F run, option 'live': 'yes' is neither True nor False.",
        f"F run, option 'alpha': {NOTHING}",
    ]


def test_what_the_caller_sets_itself_and_arguments_are_no_options() -> None:
    for name in ("set_here", "step"):
        with pytest.raises(InvalidOption, match=f"no option '{name}'"):
            OPTIONS.words("run", {}, {name: "x"}, kept=["set_here"])


def test_options_before_a_command_are_checked_without_one() -> None:
    OPTIONS.check_before({"branch": "b", "production": True})

    with pytest.raises(InvalidOption, match="before a command, has no option 'nope'; it has: bra"):
        OPTIONS.check_before({"nope": 1})


def test_a_command_that_the_flow_has_not_is_an_error() -> None:
    with pytest.raises(InvalidOption, match="F has no command 'resume'"):
        OPTIONS.words("resume", {}, {})


@pytest.mark.parametrize("value", [{"a": object()}, [float("nan")], {1, 2}, b"bytes"])
def test_what_is_not_json_cannot_be_typed(value: object) -> None:
    with pytest.raises(InvalidOption):
        text_of(value)


def test_a_value_that_cannot_be_typed_is_told_by_name_and_none_is_not_given() -> None:
    assert words_of({"a": 1, "b": None, "c": [1]}) == {"a": "1", "c": "[1]"}
    with pytest.raises(InvalidOption, match=r"^wrong: bytes is nothing"):
        words_of({"fine": 1, "wrong": b""})
