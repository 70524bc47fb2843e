"""The loop of every poll: look, wait to be woken, look again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from eventflow.bus.port import Poll
    from eventflow.effects import Clock

__all__ = ["poll_until"]


def poll_until(
    look: Callable[[], Poll], wait: Callable[[timedelta], bool], clock: Clock, timeout: timedelta
) -> Poll:
    """What `look` brought as soon as it is something, or when `timeout` is over.

    `wait` waits up to the time left, or for less; it answers False to end the poll.
    """
    deadline = clock.elapsed() + timeout
    poll = look()
    while _is_empty(poll) and (left := deadline - clock.elapsed()) and left.days >= 0:
        if not wait(left):
            break
        poll = look()
    return poll


def _is_empty(poll: Poll) -> bool:
    return not (poll.lost or poll.assigned or poll.records or poll.ended)
