"""What the services log during a simulation: lines of its trace, or nothing at all."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from structlog.typing import EventDict, WrappedLogger

    from tests.simulation.universe import Universe

__all__ = ["told_logs"]


@contextmanager
def told_logs(universe: Universe) -> Iterator[None]:
    """For a block; afterwards logging is as it was."""

    def tell(_logger: WrappedLogger, _method: str, event: EventDict) -> NoReturn:
        said = ", ".join(f"{name}={value}" for name, value in event.items() if name != "event")
        universe.tell(f"log: {event['event']} {said}")
        raise structlog.DropEvent

    former = structlog.get_config()
    level = logging.INFO if universe.keeps_trace else logging.CRITICAL
    structlog.configure(
        processors=[tell],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**former)
