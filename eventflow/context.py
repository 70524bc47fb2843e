"""The connected world: what `Event(...).publish()`, `Flow("X")` and `current` use.

It connects on first use, through `eventflow.app`; services, tests and task processes set it
explicitly. This is the one piece of global state of the package.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventflow.bus.port import Bus
    from eventflow.codec.codec import Codec
    from eventflow.effects import Effects
    from eventflow.model.topics import Topics
    from eventflow.settings import Settings
    from eventflow.store.port import Store

__all__ = ["World", "use", "using", "world"]


@dataclass(frozen=True, slots=True)
class World:
    """Connected objects, made by `app.connect`. The bus connects when it is first used."""

    settings: Settings
    topics: Topics
    bus: Bus
    store: Store
    codec: Codec
    effects: Effects


_world: World | None = None


def world() -> World:
    """The connected world of this process; connects when there is none yet."""
    if _world is None:
        from eventflow import app  # noqa: PLC0415 - the one import upwards, see the linter's list

        use(app.connect())
    assert _world is not None
    return _world


def use(connected: World | None) -> None:
    """Set the world of this process, or forget it."""
    global _world  # noqa: PLW0603 - the package's one global
    _world = connected


@contextmanager
def using(connected: World) -> Iterator[World]:
    """Set the world for a block, and the former one back afterwards."""
    former = _world
    use(connected)
    try:
        yield connected
    finally:
        use(former)
