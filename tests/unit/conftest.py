"""Fixtures of the unit tests."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from eventflow import app, context
from eventflow.settings import Settings
from tests.support.authored import Author
from tests.support.stored import History, SetClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from eventflow.context import World


@pytest.fixture
def author(tmp_path: Path) -> Iterator[Author]:
    """An author with a folder of their own."""
    writing = Author(tmp_path)
    yield writing
    writing.forget()


@pytest.fixture
def clock() -> SetClock:
    """The clock of `world`."""
    return SetClock()


@pytest.fixture
def world(tmp_path: Path, clock: SetClock) -> Iterator[World]:
    """The embedded world of a new state folder, in use; nobody has chosen a namespace."""
    connected = app.connect(Settings(home=tmp_path / ".eventflow"))
    connected = replace(connected, effects=replace(connected.effects, clock=clock))
    with context.using(connected):
        yield connected
    connected.close()


@pytest.fixture
def history(world: World) -> History:
    """Writes runs into the store of `world`."""
    return History(world)
