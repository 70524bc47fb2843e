"""The executor: where tasks run. The contract.

A task runs in a process of its own, isolated from every other; all that it started dies with it,
and all tasks die with the process that holds the executor. An executor has no threads: it makes
progress in `poll`. User code runs in task processes only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from eventflow.model.task import RunPlan, TaskEnd, TaskPlan

__all__ = ["Executor"]


class Executor(Protocol):
    """Runs tasks in processes."""

    def warm(self, run: RunPlan) -> None:
        """Get ready to start tasks of this code soon. Never waits, never runs user code twice."""

    def start(self, task: TaskPlan) -> None:
        """Start an attempt. Never waits for it, and never raises for what user code does: each
        started attempt gives exactly one `TaskEnd`, also when its process is killed, cannot be
        started, or its code cannot be imported."""

    def poll(self, timeout: timedelta) -> Sequence[TaskEnd]:
        """The attempts that ended, in the order they did; waits up to `timeout` for the first.

        Call it at least every few seconds while tasks run: it is also the tick by which the
        template processes know that their runner is alive (docs/protocols.md §6.6).
        """

    def kill(self, run_id: str, epoch: int) -> None:
        """Kill the tasks of one execution, with all their children; their ends are not reported."""

    def close(self) -> None:
        """Kill everything that is left."""
