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
