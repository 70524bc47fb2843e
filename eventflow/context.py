"""The connected world: what `Event(...).publish()`, `Flow("X")` and `current` use.

It connects on first use, through `eventflow.app`; services, tests and task processes set it
explicitly. This is the one piece of global state of the package.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from eventflow.bus.port import Bus
    from eventflow.bus.schema_topic import SchemaLookup
    from eventflow.codec.codec import Codec
    from eventflow.effects import Effects
    from eventflow.model.topics import Topics
    from eventflow.settings import Settings
    from eventflow.store.port import Store

__all__ = ["Makers", "World", "run_flow_cli", "use", "using", "world"]


@dataclass(frozen=True)
class Makers:
    """How the parts of a world are made, each when it is first used."""

    settings: Callable[[], Settings]
    bus: Callable[[World], Bus]
    store: Callable[[World], Store]
    codec: Callable[[World], Codec]
    decoder: Callable[[World], SchemaLookup]


@dataclass(frozen=True)
class World:
    """Connected objects, made by `app.connect`; each connects when it is first used.

    The bus is ready to be written to: topics and schemas are there. `allow_pickle` says whether
    what reads artifacts may unpickle them.
    """

    topics: Topics
    effects: Effects
    allow_pickle: bool
    makers: Makers = field(repr=False)

    @cached_property
    def settings(self) -> Settings:
        """What describes it. Made when used: reading settings costs a task more than itself."""
        return self.makers.settings()

    @cached_property
    def bus(self) -> Bus:
        """The durable log."""
        return self.makers.bus(self)

    @cached_property
    def store(self) -> Store:
        """The object store."""
        return self.makers.store(self)

    @cached_property
    def codec(self) -> Codec:
        """Records ⇄ bytes."""
        return self.makers.codec(self)

    @cached_property
    def decoder(self) -> SchemaLookup:
        """Reads records of every writer, also of one that is newer than this program."""
        return self.makers.decoder(self)

    def close(self) -> None:
        """Close what was opened."""
        if "bus" in self.__dict__:
            self.bus.close()


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


def run_flow_cli(flow: type) -> None:
    """What `MyFlow()` does at the end of a flow's file: the command line of that flow."""
    from eventflow.cli.flow import main  # noqa: PLC0415 - upwards, as above

    main(flow)
