"""Commands that only read make nothing, and say where to look."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from eventflow.cli.main import cli
from eventflow.errors import NotFound


@pytest.mark.parametrize(
    "words",
    [
        ("runs",),
        ("lineage", "events/0/0"),
        ("dead-letters", "list"),
        ("deployments", "list"),
        ("deployments", "show", "F"),
        ("deployments", "delete", "F"),
        ("trigger", "F"),
        ("cancel", "F/run"),
    ],
)
def test_a_command_that_reads_makes_no_state_folder(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENTFLOW_HOME", str(tmp_path / "state"))

    result = CliRunner().invoke(cli, words)

    assert isinstance(result.exception, NotFound)
    assert "EVENTFLOW_HOME" in str(result.exception)
    assert not (tmp_path / "state").exists()
