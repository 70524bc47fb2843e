"""Parsers of configurations: the files that say which packages a project has, and YAML."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
import yaml

from eventflow import (
    conda_environment_yml_parser,
    pyproject_toml_parser,
    requirements_txt_parser,
    yaml_parser,
)
from eventflow.authoring.graph import graph_of
from eventflow.errors import InvalidPackages

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.authored import Author

REQUIREMENTS = """\
# what we need
numpy==1.26.4   # exact
pandas[parquet] >=2,<3

python>=3.11
-e file:.
six
"""

CONDA = """\
name: shop
channels:
  - conda-forge
dependencies:
  - python=3.12
  - numpy=1.26  # exact
  - "scipy>=1,<2"
  - six
prefix: /opt
"""


def test_requirements_are_packages_with_their_versions() -> None:
    found = requirements_txt_parser(REQUIREMENTS)

    assert found == {
        "packages": {"numpy": "1.26.4", "pandas[parquet]": ">=2,<3", "six": ""},
        "python": ">=3.11",
    }


def test_a_project_says_its_packages_and_its_python() -> None:
    found = pyproject_toml_parser(
        '[project]\nrequires-python = "==3.12"\ndependencies = ["numpy==1.26", "six"]'
    )

    assert found == {"packages": {"numpy": "1.26", "six": ""}, "python": "3.12"}
    assert pyproject_toml_parser("[tool.x]") == {"packages": {}, "python": None}


def test_an_environment_of_conda_says_them_too() -> None:
    found = conda_environment_yml_parser(CONDA)

    assert found == {
        "packages": {"numpy": "1.26", "scipy": ">=1,<2", "six": ""},
        "python": "3.12",
    }


@pytest.mark.parametrize(
    "line",
    [
        "numpy; sys_platform == 'linux'",
        "numpy @ https://example.org/numpy.whl",
        "-r others.txt",
        "numpy=>1",
        "numpy 1.26",
    ],
)
def test_a_line_that_is_no_name_with_versions_is_refused(line: str) -> None:
    with pytest.raises(InvalidPackages, match="is no name of a package with versions") as caught:
        requirements_txt_parser(f"six\n{line}")

    assert str(caught.value).startswith(f"line 2: {line!r}")


def test_packages_below_pip_are_refused() -> None:
    with pytest.raises(InvalidPackages, match="'pip:' is no name"):
        conda_environment_yml_parser("dependencies:\n  - six\n  - pip:\n    - numpy")


@pytest.mark.parametrize(
    ("parser", "content", "message"),
    [
        (requirements_txt_parser, "Six\n\nsix>1", "^line 3: 'six>1' is there for the second time"),
        (conda_environment_yml_parser, "dependencies:\n- a\n- a=1", "^line 3: 'a=1' is there for"),
        (
            pyproject_toml_parser,
            "[project]\ndependencies = ['a.b', 'a_b']",
            "^project.dependencies: 'a_b' is there for the second time",
        ),
    ],
)
def test_a_package_that_is_there_twice_is_refused(
    parser: Callable[[str], object], content: str, message: str
) -> None:
    with pytest.raises(InvalidPackages, match=message):
        parser(content)


def test_dependencies_that_only_a_build_knows_are_refused() -> None:
    with pytest.raises(InvalidPackages, match="is dynamic"):
        pyproject_toml_parser("[project]\ndynamic = ['version', 'dependencies']")


def test_one_version_of_python_is_enough() -> None:
    with pytest.raises(InvalidPackages, match="second version of Python"):
        requirements_txt_parser("python==3.11\npython==3.12")


def test_what_a_parser_gives_is_what_a_step_runs_with(author: Author) -> None:
    (author.folder / "requirements.txt").write_text("numpy==1.26\nsix")
    flow = author.flow(
        f"""
        @pypi_base(packages=config_expr("needs.packages"))
        class F(FlowSpec):
            needs = Config("needs", default={str(author.folder / "requirements.txt")!r},
                           parser=requirements_txt_parser)
            @step
            def start(self):
                self.next(self.end)
            @step
            def end(self): ...
        """
    )

    policy = graph_of(flow).step("start").policy

    assert policy is not None
    assert policy.packages is not None
    assert dict(policy.packages.packages) == {"numpy": "1.26", "six": ""}


def test_yaml_is_read_as_plain_data_and_runs_nothing() -> None:
    assert yaml_parser("a: [1, x]\nb: {c: true}") == {"a": [1, "x"], "b": {"c": True}}
    with pytest.raises(yaml.YAMLError, match="python/object"):
        yaml_parser("!!python/object/apply:os.getcwd []")


def test_without_pyyaml_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)

    with pytest.raises(ImportError, match="pip install pyyaml"):
        yaml_parser("a: 1")
