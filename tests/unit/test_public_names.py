"""`import eventflow`: exactly the public names, each when it is first used, at no cost."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import eventflow
from eventflow.authoring.absent_names import ABSENT
from eventflow.errors import NameMissing

HEAVY = ("boto3", "botocore", "confluent_kafka", "fastavro", "numpy", "pydantic", "rich")

NAMES = {
    *("FlowSpec", "step", "Parameter", "JSONType", "current", "trigger", "trigger_on_finish"),
    *("project", "schedule", "namespaced_event_name", "Event", "Flow", "Run", "Step", "Task"),
    *("pypi", "pypi_base"),
    *("DataArtifact", "namespace", "get_namespace", "default_namespace"),
    *("IncludeFile", "Config", "ConfigValue", "config_expr"),
    *("Metaflow", "metadata", "get_metadata", "default_metadata"),
    *("Runner", "Deployer", "DeployedFlow"),
    *("retry", "catch", "timeout", "resources", "environment", "secrets", "card"),
    *("S3", "S3GetObject", "S3PutObject"),
    *("user_step_decorator", "UserStepDecorator", "USER_SKIP_STEP", "exit_hook"),
    *("parallel", "parallel_map", "parallel_imap_unordered", "profile", "cards", "yaml_parser"),
    *("requirements_txt_parser", "pyproject_toml_parser", "conda_environment_yml_parser"),
}


def test_the_public_names_are_these_and_each_is_there() -> None:
    assert set(eventflow.__all__) == NAMES
    assert all(getattr(eventflow, name) is not None for name in NAMES)
    assert set(dir(eventflow)) >= NAMES


def test_a_type_checker_sees_what_the_program_gets() -> None:
    tree = ast.parse(Path(eventflow.__file__).read_text())
    (guarded,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.name: node.module
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    assert set(seen) == NAMES
    homes = {name: f"eventflow.{home}" for name, home in eventflow._HOMES.items()}
    assert seen == homes | dict.fromkeys(eventflow._MODULES, "eventflow")


@pytest.mark.parametrize("name", ["foreach", "kubernetes", "nothing"])
def test_a_name_that_is_not_there_is_an_attribute_error(name: str) -> None:
    with pytest.raises(AttributeError, match=f"'eventflow' has no attribute '{name}'"):
        getattr(eventflow, name)
    assert not hasattr(eventflow, name)


@pytest.mark.parametrize("name", sorted(ABSENT))
def test_importing_a_name_that_is_left_out_says_what_to_do_instead(name: str) -> None:
    with pytest.raises(ImportError) as caught:
        exec(f"from eventflow import FlowSpec, {name}", {})  # noqa: S102 - it is ours

    assert isinstance(caught.value, NameMissing)
    assert str(caught.value) == f"eventflow has no {name!r}: {ABSENT[name]}"
    assert caught.value.name == name
    assert not hasattr(eventflow, name)
    assert name not in NAMES


def test_importing_any_other_name_is_the_error_of_python() -> None:
    with pytest.raises(ImportError, match="cannot import name 'nothing' from 'eventflow'"):
        exec("from eventflow import nothing", {})  # noqa: S102 - it is ours


def test_importing_everything_gives_the_public_names_and_no_others() -> None:
    names: dict[str, object] = {}

    exec("from eventflow import *", names)  # noqa: S102 - it is ours

    assert names.keys() - {"__builtins__"} == NAMES


def test_importing_eventflow_imports_no_heavy_package() -> None:
    code = "import sys, eventflow; print(*sys.modules)"

    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert set(HEAVY).isdisjoint(out.stdout.split())


def test_writing_a_flow_does_not_read_which_names_are_left_out() -> None:
    code = (
        "import sys; from eventflow import FlowSpec, Parameter, current, step, trigger;"
        "print('eventflow.authoring.absent_names' in sys.modules)"
    )

    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert out.stdout == "False\n"


def test_writing_a_flow_imports_no_heavy_package() -> None:
    code = (
        "import sys; from eventflow import FlowSpec, Parameter, project, step, trigger;"
        "print(*sys.modules)"
    )

    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert set(HEAVY).isdisjoint(out.stdout.split())
