"""Packages as an author names them, and as an installer reads them (PEP 508, PEP 440).

A version is `""` for any, a version (`1.2`, `1.*`) for that one, or conditions with commas
between them (`>=1,<2`).
"""

from __future__ import annotations

import re

__all__ = ["canonical_name", "is_package_name", "is_python", "is_version", "requirement"]

OLDEST_PYTHON = (3, 11)
_NAME = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)"
    r"\s*(?P<extras>\[[A-Za-z0-9._, -]+\])?"
)
# PEP 440, appendix B, without what only URLs have.
_RELEASE = (
    r"v?(?:[0-9]+!)?[0-9]+(?:\.[0-9]+)*"
    r"(?:[-_.]?(?:a|b|c|rc|alpha|beta|pre|preview)[-_.]?[0-9]*)?"
    r"(?:-[0-9]+|[-_.]?(?:post|rev|r)[-_.]?[0-9]*)?"
    r"(?:[-_.]?dev[-_.]?[0-9]*)?"
    r"(?:\+[a-z0-9]+(?:[-_.][a-z0-9]+)*)?"
)
_EXACT = re.compile(rf"{_RELEASE}(?:\.\*)?", re.IGNORECASE)
_CONDITION = re.compile(
    rf"(?:(?:==|!=)\s*{_RELEASE}(?:\.\*)?|(?:~=|<=|>=|<|>|===)\s*{_RELEASE})", re.IGNORECASE
)
_PYTHON = re.compile(r"([0-9]+)\.([0-9]+)(?:\.[0-9]+)?")
_OPERATORS = ("~", "=", "!", "<", ">")


def is_package_name(name: str) -> bool:
    """Whether a package can have that name, with or without extras: `pandas[parquet]`."""
    return _NAME.fullmatch(name) is not None


def is_version(version: str) -> bool:
    """Whether it says which versions will do."""
    if not version.startswith(_OPERATORS):
        return not version or _EXACT.fullmatch(version) is not None
    return all(_CONDITION.fullmatch(each.strip()) for each in version.split(","))


def is_python(version: str) -> bool:
    """Whether it is a version of Python that eventflow runs on: `3.12`, `3.12.4`."""
    found = _PYTHON.fullmatch(version)
    return found is not None and (int(found[1]), int(found[2])) >= OLDEST_PYTHON


def canonical_name(name: str) -> str:
    """What is the same for all spellings of a package's name (PEP 503), without extras."""
    found = _NAME.fullmatch(name)
    return re.sub(r"[-_.]+", "-", found["name"] if found else name).lower()


def requirement(name: str, version: str) -> str:
    """Name and version as an installer reads them: `numpy==1.26`, `scipy>=1,<2`, `six`."""
    found = _NAME.fullmatch(name)
    extras = "".join((found["extras"] or "").split()) if found else ""
    version = "".join(version.split())
    operator = "" if not version or version.startswith(_OPERATORS) else "=="
    return f"{canonical_name(name)}{extras}{operator}{version}"
