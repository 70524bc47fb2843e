"""A runner that dies between the puts of a run's beginning: the next one writes all of it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from eventflow.model.completion import Outcome
from eventflow.store.local import LocalStore
from eventflow.store.pieces import Data
from tests.support.runner_doubles import Crashed
from tests.support.runner_rig import RunnerRig, rig

__all__ = ["rig"]

KEYS = 5  # run.json, the entry in the index, the flow, the lineage both ways


class Dying(LocalStore):
    """A store whose process dies when so many objects of several are put."""

    left = KEYS

    def put_all(self, objects: Iterable[tuple[str, Data]]) -> None:
        for each in objects:
            if self.left == 0:
                raise Crashed("put_all")
            self.left -= 1
            super().put_all([each])


@pytest.mark.parametrize("written", range(KEYS))
def test_a_beginning_of_which_only_some_was_written_is_whole_in_the_end(
    rig: RunnerRig, written: int
) -> None:
    first, store = rig.process(), Dying(rig.folder / "store")
    store.left, first.store.inner = written, store
    request = rig.new_request(causes=(rig.cause(7, run_id="hupstream"),))
    rig.publish(request)
    with pytest.raises(Crashed):
        rig.execute(request.run_id, first)
    rig.lose(first)
    assert len(_keys_of_beginning(rig, request.run_id)) == written

    second = rig.process()
    rig.pass_time(45, second)
    rig.execute(request.run_id, second)

    record = rig.record(request.run_id)
    assert record is not None
    assert (record.outcome, record.epoch) == (Outcome.SUCCEEDED, 2)
    assert len(_keys_of_beginning(rig, request.run_id)) == KEYS


def _keys_of_beginning(rig: RunnerRig, run_id: str) -> list[str]:
    """All that has the run in its name but its attempts, its end and its success; the flow."""
    keys = [each.key for each in rig.store.list("")]
    later = ("/end.json", "/artifacts.json", "/stdout", "/stderr")
    return [
        key
        for key in keys
        if (run_id in key and not key.endswith(later) and "/successful/" not in key)
        or key.startswith("flows/")
    ]
