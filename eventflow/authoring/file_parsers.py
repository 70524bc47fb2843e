"""Parsers for `Config`: YAML, and the files that say which packages a project has.

The latter give `{"packages": {name: versions}, "python": version or None}`, as `@pypi` and
`@pypi_base` take them.
"""

from __future__ import annotations

import re
import tomllib
from importlib import import_module
from typing import TYPE_CHECKING, Any

from eventflow.errors import InvalidPackages
from eventflow.model.requirement import canonical_name, is_package_name, is_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "conda_environment_yml_parser",
    "pyproject_toml_parser",
    "requirements_txt_parser",
    "yaml_parser",
]

_REQUIREMENT = re.compile(r"(?P<name>[^\s=<>!~;@(]+(?:\s*\[[^]]*\])?)\s*(?P<versions>[=<>!~].*)?")
_COMMENT = re.compile(r"(?:^|\s)#.*$")
_SKIPPED = ("-e .", "-e file:.")  # the project itself, in lock files of Rye and others


def yaml_parser(content: str) -> Any:
    """What a YAML text says. PyYAML reads it, which does not come with eventflow.

    Raises:
        ImportError: PyYAML is not installed.
    """
    try:
        yaml = import_module("yaml")
    except ImportError as error:
        raise ImportError("YAML is read by PyYAML: pip install pyyaml") from error
    return yaml.safe_load(content)


def requirements_txt_parser(content: str) -> dict[str, Any]:
    """The packages of a requirements.txt. `python` may stand among them.

    Raises:
        InvalidPackages: a line is no name with versions; markers and addresses are none either.
            Or a package is there twice.
    """
    return _packages((where, line) for where, line in _lines(content) if line not in _SKIPPED)


def pyproject_toml_parser(content: str) -> dict[str, Any]:
    """The dependencies and `requires-python` of the `[project]` in a pyproject.toml.

    Raises:
        InvalidPackages: a dependency is no name with versions; markers and addresses are none. Or
            a package is there twice, or the dependencies are dynamic.
    """
    project = tomllib.loads(content).get("project", {})
    if "dependencies" in project.get("dynamic", ()):
        raise InvalidPackages(
            "project.dependencies is dynamic, known to the build of the project only: parse the"
            " file that has them."
        )
    python = project.get("requires-python")
    lines = (("project.dependencies", each) for each in project.get("dependencies", ()))
    return _packages(lines, _bare(python) if python else None)


def conda_environment_yml_parser(content: str) -> dict[str, Any]:
    """The dependencies of an environment.yml: `- numpy=1.26`, one a line, in quotes or without.

    Raises:
        InvalidPackages: a line is no name with versions, or there are others below it (`pip:`). Or
            a package is there twice.
    """
    inside, found = False, []
    for where, line in _lines(content):
        if not line.startswith("-"):
            inside = line == "dependencies:"
        elif inside:
            found.append((where, line[1:].strip().strip("'\"")))
    return _packages(found)


def _lines(content: str) -> Iterator[tuple[str, str]]:
    """Each line that says something, without comments, and where it is."""
    for number, line in enumerate(content.splitlines(), 1):
        said = _COMMENT.sub("", line).strip()
        if said:
            yield f"line {number}", said


def _packages(lines: Iterable[tuple[str, str]], python: str | None = None) -> dict[str, Any]:
    packages: dict[str, str] = {}
    seen: set[str] = set()
    for where, line in lines:
        read = _REQUIREMENT.fullmatch(line)
        name, versions = (read["name"], _bare(read["versions"] or "")) if read else ("", "")
        if not (is_package_name(name) and is_version(versions)):
            raise InvalidPackages(
                f"{where}: {line!r} is no name of a package with versions, such as numpy>=1.26;"
                " environment markers, addresses and options are not taken."
            )
        canonical = canonical_name(name)
        if canonical == "python":
            if python is not None and versions:
                raise InvalidPackages(f"{where}: {line!r} is a second version of Python: keep one.")
            python = versions or python
        elif canonical in seen:
            raise InvalidPackages(f"{where}: {line!r} is there for the second time: keep one.")
        else:
            seen.add(canonical)
            packages[name] = versions
    return {"packages": packages, "python": python}


def _bare(versions: str) -> str:
    """A version alone for one that is asked for with `=` or `==`."""
    bare = re.sub(r"^={1,2}\s*(?=[\dv])", "", versions.strip())
    return versions.strip() if "," in bare else bare
