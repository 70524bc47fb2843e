"""What is played before the real attempts."""

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from eventflow import app
from eventflow.context import World
from eventflow.effects import Effects
from eventflow.execution.rehearsal import Rehearsal
from eventflow.execution.task import FAULT_POINTS
from eventflow.model.completion import Outcome
from eventflow.settings import Settings
from eventflow.store.port import Store


class Reached:
    def __init__(self) -> None:
        self.names: list[str] = []

    def reach(self, name: str) -> None:
        self.names.append(name)


class OnlyRehearsed:
    """A store that nobody may read or write."""

    def rehearse(self) -> None:
        pass


def only_rehearsed(_: World) -> Store:
    return cast("Store", OnlyRehearsed())


@pytest.fixture
def faults() -> Reached:
    return Reached()


@pytest.fixture
def world(tmp_path: Path, faults: Reached) -> World:
    connected = app.connect(Settings(home=tmp_path))
    makers = replace(connected.makers, store=only_rehearsed)
    return replace(connected, makers=makers, effects=Effects(faults=faults))


def test_a_rehearsal_is_an_attempt_from_its_start_to_its_report(world: World) -> None:
    rehearsal = Rehearsal(world)
    rehearsal.prepare()

    report = rehearsal.play()

    assert report is not None
    assert (report.outcome, report.next_steps) == (Outcome.SUCCEEDED, ("end",))


def test_a_rehearsal_leaves_nothing_and_reaches_no_fault_point(
    world: World, faults: Reached, capfd: pytest.CaptureFixture[str]
) -> None:
    rehearsal = Rehearsal(world)
    rehearsal.prepare()
    rehearsal.play()

    assert not set(faults.names) & set(FAULT_POINTS)
    assert capfd.readouterr() == ("", "")


def test_a_rehearsal_that_cannot_be_played_says_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsal = Rehearsal(world)
    monkeypatch.setattr("eventflow.execution.task.write_task", None)

    assert rehearsal.play() is None
