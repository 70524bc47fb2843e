"""`@pypi` and `@pypi_base`: what they add up to for a step, and the mistakes in them."""

from __future__ import annotations

import linecache
from typing import Any

import pytest

from eventflow.authoring.config import Config
from eventflow.authoring.config_expr import config_expr
from eventflow.authoring.flow_spec import FlowSpec
from eventflow.authoring.graph import check, graph_of
from eventflow.authoring.pypi import packages_of, pypi, pypi_base
from eventflow.authoring.step import step
from eventflow.model.policy import Packages
from eventflow.model.requirement import canonical_name, is_python, is_version, requirement


@pypi_base(packages={"numpy": "1.26", "Six": ""}, python="3.11")
class Based(FlowSpec):
    @step
    def start(self) -> None:
        self.next(self.other)

    @pypi(packages={"NumPy": ">=2,<3", "pandas[parquet]": "2.2"}, python="3.12")
    @step
    def other(self) -> None:
        self.next(self.free)

    @step
    @pypi(disabled=True)
    def free(self) -> None:
        self.next(self.end)

    @step
    def end(self) -> None:
        pass


@pypi_base(packages={"six": "1.17"}, disabled=True)
class Disabled(FlowSpec):
    @pypi(disabled=False)
    @step
    def start(self) -> None:
        self.next(self.end)

    @step
    def end(self) -> None:
        pass


class Plain(FlowSpec):
    @pypi
    @step
    def start(self) -> None:
        self.next(self.end)

    @step
    def end(self) -> None:
        pass


class Inheriting(Based):
    pass


def test_a_step_has_the_packages_of_its_flow() -> None:
    assert packages_of(Based, "start") == Packages({"numpy": "1.26", "Six": ""}, "3.11")


def test_a_step_adds_to_them_and_its_own_word_counts_however_it_is_spelled() -> None:
    assert packages_of(Based, "other") == Packages(
        {"NumPy": ">=2,<3", "pandas[parquet]": "2.2", "Six": ""}, "3.12"
    )


def test_a_step_that_disables_them_has_no_environment() -> None:
    assert packages_of(Based, "free") is None


def test_a_flow_disables_them_but_where_a_step_says_otherwise() -> None:
    assert packages_of(Disabled, "start") == Packages({"six": "1.17"})
    assert packages_of(Disabled, "end") is None


def test_without_parentheses_a_step_has_an_environment_without_packages() -> None:
    assert packages_of(Plain, "start") == Packages()
    assert packages_of(Plain, "end") is None


def test_a_subclass_inherits_what_its_base_says() -> None:
    assert packages_of(Inheriting, "start") == packages_of(Based, "start")


def test_what_configurations_say_counts() -> None:
    class Configured(Plain):
        config = Config("config", default_value={"packages": {"six": "1.17"}, "python": "3.12"})

        @pypi(packages=config_expr("config.packages"), python=config_expr("config.python"))
        @step
        def start(self) -> None:
            self.next(self.end)

    assert check(Configured) == []
    assert packages_of(Configured, "start") == Packages({"six": "1.17"}, "3.12")


def test_the_graph_has_the_packages_of_each_step() -> None:
    graph = graph_of(Based)

    assert graph.step("other").how.packages == packages_of(Based, "other")
    assert graph.step("free").how.packages is None


MISTAKES = [
    ({"packages": {"nu mpy": "1"}}, "'nu mpy' is no name of a package"),
    ({"packages": {"numpy": "1.26 or so"}}, "'1.26 or so' is no version"),
    ({"packages": {"numpy": ">=1,2"}}, "'>=1,2' is no version"),
    ({"packages": {"numpy": "@ https://some.where/numpy.whl"}}, "is no version"),
    ({"packages": {"numpy": 1.26}}, "1.26 is no text; put the version in quotes"),
    ({"packages": ["numpy"]}, "write {'name': 'version'}"),
    ({"packages": {"eventflow": "0.1"}}, "eventflow itself is in every environment"),
    ({"packages": {"Six": "", "six": "1"}}, "'six' is named twice, in two spellings"),
    ({"python": "3.10"}, "name a version from 3.11 on"),
    ({"python": 3.12}, "name a version from 3.11 on"),
    ({"python": ">=3.11"}, "name a version from 3.11 on"),
    ({"disabled": "no"}, "say True or False"),
]


@pytest.mark.parametrize(("said", "mistake"), MISTAKES)
def test_a_mistake_is_told_with_the_line_of_the_decorator(
    said: dict[str, Any], mistake: str
) -> None:
    class Wrong(Plain):
        @pypi(**said)
        @step
        def start(self) -> None:
            self.next(self.end)

    (problem,) = check(Wrong)

    assert problem.message.startswith("@pypi of step 'start': ")
    assert mistake in problem.message
    assert "@pypi(**said)" in linecache.getline(problem.file, problem.line)


def test_a_mistake_of_the_flow_is_told_once() -> None:
    @pypi_base(packages={"numpy": "latest"})
    class Wrong(Plain):
        pass

    (problem,) = check(Wrong)

    assert "@pypi_base: 'numpy': 'latest' is no version" in problem.message


def test_a_decorator_that_stands_there_twice_is_a_mistake() -> None:
    class Wrong(Plain):
        @pypi(packages={"six": ""})
        @pypi(packages={"numpy": ""})
        @step
        def start(self) -> None:
            self.next(self.end)

    (problem,) = check(Wrong)

    assert "it stands there twice" in problem.message


REQUIREMENTS = [
    ("Foo_Bar", "", "foo-bar"),
    ("numpy", "1.26", "numpy==1.26"),
    ("numpy", "1.*", "numpy==1.*"),
    ("numpy", ">= 1, < 2", "numpy>=1,<2"),
    ("pandas [parquet, s3]", "~=2.2", "pandas[parquet,s3]~=2.2"),
    ("torch", "2.1.0+cpu", "torch==2.1.0+cpu"),
    ("a", "1!2.0rc1.post2.dev3", "a==1!2.0rc1.post2.dev3"),
]


@pytest.mark.parametrize(("name", "version", "text"), REQUIREMENTS)
def test_name_and_version_become_a_requirement(name: str, version: str, text: str) -> None:
    assert is_version(version)
    assert requirement(name, version) == text


@pytest.mark.parametrize("version", ["x", "1,2", "=1", ">=", ">=1.*", "1 2", ">1;os", "1.2 "])
def test_what_is_no_version(version: str) -> None:
    assert not is_version(version)


def test_all_spellings_of_a_name_are_one() -> None:
    assert {canonical_name(each) for each in ("A.b-C", "a_B.c", "a--b__c[x]")} == {"a-b-c"}


def test_the_pythons_are_those_that_eventflow_runs_on() -> None:
    found = [each for each in ("3.11", "3.12.4", "4.0", "3.10", "3", "3.x", "") if is_python(each)]

    assert found == ["3.11", "3.12.4", "4.0"]
