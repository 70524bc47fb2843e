"""What every part of one embedded bus works with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from eventflow.bus.sqlite.log import milliseconds

if TYPE_CHECKING:
    from eventflow.bus.sqlite.catalogue import Catalogue
    from eventflow.bus.sqlite.database import Database
    from eventflow.bus.sqlite.wakers import Wakers
    from eventflow.effects import Clock

__all__ = ["Engine"]


@dataclass(frozen=True, slots=True)
class Engine:
    """The open file and what goes with it; one per bus, shared by what the bus makes."""

    database: Database
    catalogue: Catalogue
    wakers: Wakers
    clock: Clock
    boot_id: str
    session: timedelta

    def wall_clock(self) -> int:
        """Milliseconds since 1970: what records are stamped with."""
        return milliseconds(self.clock.now())

    def boot_clock(self) -> int:
        """Milliseconds since this boot: what leases are measured with."""
        return self.clock.elapsed() // timedelta(milliseconds=1)
