"""The process that builds one environment for an executor, which does not wait for it.

It leads a session of its own, with uv in it, and takes that along when its executor's process
dies. What it built is found in the cache; of what it could not, its last word says why.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from eventflow.errors import EventflowError
from eventflow.execution.environments.building import Place, build
from eventflow.execution.environments.request import Request
from eventflow.execution.messages import Messages, pack
from eventflow.execution.process_tree import die_with

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from eventflow.context import World
    from eventflow.execution.messages import Message

__all__ = ["Order", "build_as_ordered"]

_READ_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Order:
    """What to build, for the project of a place. `parent` is the process that orders it, and
    `settings` are for the program's `connect`."""

    parent: int
    settings: str
    place: Place
    request: Request

    def to_message(self) -> bytes:
        """As bytes, ready to send."""
        place = {**asdict(self.place), "cache": str(self.place.cache)}
        told = {"parent": self.parent, "settings": self.settings, "place": place}
        return pack({**told, "request": asdict(self.request)})

    @classmethod
    def from_message(cls, message: Message) -> Order:
        """What `to_message` made."""
        place, request = message["place"], message["request"]
        lists = {name: tuple(request[name]) for name in ("requirements", "own")}
        return cls(
            parent=message["parent"],
            settings=message["settings"],
            place=Place(**{**place, "cache": Path(place["cache"])}),
            request=Request(**{**request, **lists}),
        )


def build_as_ordered(control: socket.socket, connect: Callable[[str], World]) -> NoReturn:
    """Be a builder for the executor at the other end of `control`. `connect` makes a world of the
    executor's settings."""
    signal.signal(signal.SIGTERM, lambda *_: os.killpg(0, signal.SIGKILL))
    order = Order.from_message(_first_message(control))
    die_with(order.parent, signal.SIGTERM)
    try:
        world = connect(order.settings)
        build(order.place, order.request, world.store, world.effects)
    except (EventflowError, OSError) as error:
        control.sendall(pack({"is": "failed", "reason": str(error)}))
        sys.exit(1)
    control.sendall(pack({"is": "built"}))
    sys.exit(0)


def _first_message(control: socket.socket) -> Message:
    messages = Messages()
    while data := control.recv(_READ_BYTES):
        for message, _ in messages.feed(data):
            return message
    sys.exit(0)  # the executor is gone
