"""Whether packages can be had on this machine: some tests install real ones."""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path

import pytest

from eventflow.errors import EnvironmentUnavailable
from eventflow.execution.environments.uv import run_uv

__all__ = ["need_package_index"]


def need_package_index() -> None:
    """Skip the test, and fail it where CI is set, when no package index answers."""
    missing = _missing()
    if missing and os.environ.get("CI"):
        pytest.fail(f"in CI a package index must be there; {missing}")
    if missing:
        pytest.skip(missing)


@cache
def _missing() -> str:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.joinpath("requirements.in").write_text("six\n")
        try:
            run_uv(["pip", "compile", "--no-cache", "requirements.in"], folder, "No package index")
        except EnvironmentUnavailable as error:
            return str(error)
    return ""
