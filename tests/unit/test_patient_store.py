"""A store that is waited for."""

from __future__ import annotations

from pathlib import Path

import pytest

from eventflow.errors import ObjectMissing
from eventflow.store.local import LocalStore
from eventflow.store.patient import PatientStore
from tests.support.runner_doubles import CanBeCut


class Outage:
    """The store is away until it was waited for so many times."""

    def __init__(self, folder: Path, pauses: int = 3) -> None:
        self.inner = LocalStore(folder)
        self.cut = CanBeCut(self.inner, is_cut=True)
        self.left = pauses
        self.store = PatientStore(self.cut, self._pause)

    def _pause(self, _seconds: float) -> None:
        self.left -= 1
        self.cut.is_cut = self.left > 0


def test_a_call_waits_until_the_store_is_back(tmp_path: Path) -> None:
    outage = Outage(tmp_path)

    is_mine = outage.store.put_if_absent("a", b"1")

    assert (is_mine, outage.left) == (True, 0)
    assert outage.inner.get("a") == b"1"


def test_a_large_object_is_waited_for(tmp_path: Path) -> None:
    outage = Outage(tmp_path)
    outage.inner.put("large", bytes(2**20))

    assert outage.store.get_own("large") == bytes(2**20)
    assert outage.left == 0


def test_several_objects_are_all_put_after_an_outage(tmp_path: Path) -> None:
    outage = Outage(tmp_path)

    outage.store.put_all((name, b"1") for name in ("a", "b"))

    assert [each.key for each in outage.store.list("")] == ["a", "b"]


def test_reading_several_objects_goes_on_after_an_outage(tmp_path: Path) -> None:
    outage = Outage(tmp_path)
    outage.inner.put_all((name, name.encode()) for name in ("a", "b", "c"))
    outage.cut.is_cut = False

    reading = outage.store.get_all(iter(["a", "b", "x", "c"]))
    first = next(reading)
    outage.cut.is_cut = True
    rest = list(reading)

    assert outage.left == 0
    assert [first, *rest] == [("a", b"a"), ("b", b"b"), ("x", None), ("c", b"c")]


def test_an_object_that_is_missing_is_no_outage(tmp_path: Path) -> None:
    outage = Outage(tmp_path)

    with pytest.raises(ObjectMissing):
        outage.store.get("a")


def test_an_outage_is_told_once_a_call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outage = Outage(tmp_path)

    outage.store.put("a", b"1")

    assert capsys.readouterr().err.count("waiting for the store") == 1
