"""What connecting says of settings that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventflow.app import make_store
from eventflow.errors import InvalidSettings
from eventflow.settings import Settings


def test_a_state_folder_that_cannot_be_made_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    home = tmp_path / "file" / "state"

    with pytest.raises(InvalidSettings, match=f"The state folder {home} cannot be made") as caught:
        make_store(Settings(home=home))

    assert "EVENTFLOW_HOME" in str(caught.value)


def test_all_settings_that_cannot_be_are_told_by_their_variables_and_without_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EVENTFLOW_RUNNER__MAX_NUM_SPLITS", "0")
    monkeypatch.setenv("EVENTFLOW_STORE__ALLOW_PICKLE", "hunter22")

    with pytest.raises(InvalidSettings) as caught:
        Settings.load()

    lines = str(caught.value).splitlines()
    assert [line.partition(": ")[0] for line in lines] == [
        "EVENTFLOW_STORE__ALLOW_PICKLE",
        "EVENTFLOW_RUNNER__MAX_NUM_SPLITS",
    ]
    assert "should be greater than 0" in lines[1]
    assert "hunter22" not in str(caught.value)
