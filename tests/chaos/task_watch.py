"""Whose task processes outlive whom: guarantee 5 seen from the kernel, by pids.

A runner that is dead or stopped loses its tasks: within the lease, and a margin for a busy
machine, each process that its templates had forked is gone. Not a speed: a bound that holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from tests.chaos.processes import Process, boot_time

_MARGIN = timedelta(seconds=4)


@dataclass
class _Watched:
    """A runner, its templates, their tasks; since when it has been dead or stopped."""

    runner: Process
    templates: set[Process] = field(default_factory=set)
    tasks: set[Process] = field(default_factory=set)
    silent_since: float | None = None
    is_told: bool = False

    @property
    def is_silent(self) -> bool:
        return not self.runner.is_alive or self.runner.is_stopped

    def look(self) -> None:
        """Take in what there is now; a template that lost its runner may fork a last time."""
        self.templates |= self.runner.children()
        for template in tuple(self.templates):
            self.tasks |= template.children()
        self.templates = {each for each in self.templates if each.is_alive}
        self.tasks = {each for each in self.tasks if each.is_alive}


class TaskWatch:
    """Watches runners. `lost` counts the tasks whose runner died or stopped, `outlived` names
    those that were there after the bound."""

    def __init__(self, lease: timedelta) -> None:
        self._bound_s = (lease + _MARGIN).total_seconds()
        self._watched: dict[Process, _Watched] = {}
        self.lost = 0
        self.outlived: list[str] = []

    def watch(self, runner: Process) -> None:
        """From now on this one too."""
        self._watched[runner] = _Watched(runner)

    def tasks_of(self, runner: Process) -> int:
        """How many it has, as of the last look."""
        watched = self._watched.get(runner)
        return 0 if watched is None else len(watched.tasks)

    def look(self) -> None:
        """Look at all of them; call it several times a second, from one thread."""
        for watched in tuple(self._watched.values()):
            before = len(watched.tasks)  # those of a runner that died may be gone by now
            watched.look()
            self._judge(watched, max(before, len(watched.tasks)))
            if not watched.runner.is_alive and not watched.tasks:
                del self._watched[watched.runner]

    def _judge(self, watched: _Watched, tasks: int) -> None:
        if not watched.is_silent:
            watched.silent_since, watched.is_told = None, False
        elif watched.silent_since is None:
            watched.silent_since = boot_time()
            self.lost += tasks
        elif watched.tasks and boot_time() - watched.silent_since > self._bound_s:
            self._tell(watched)

    def _tell(self, watched: _Watched) -> None:
        if not watched.is_told:
            watched.is_told = True
            pids = sorted(each.pid for each in watched.tasks)
            state = "stopped" if watched.runner.is_stopped else "dead"
            self.outlived.append(
                f"tasks {pids} are there {self._bound_s:g} s after runner {watched.runner.pid}"
                f" was {state}"
            )
