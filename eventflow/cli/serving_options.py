"""What the commands that serve have in common: logs, the metrics port, and how long they wait."""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
import structlog
from prometheus_client import CollectorRegistry

from eventflow.metrics import ProcessMetrics
from eventflow.probes import serve_probes
from eventflow.readiness import Readiness
from eventflow.serving import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from eventflow.context import World
    from eventflow.serving import Service

__all__ = ["metrics_port_option", "open_logs", "serve_alone", "serving_probes"]


def metrics_port_option(default: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`--metrics-port`, with the port of this service."""
    return click.option(
        "--metrics-port",
        type=click.IntRange(0, 65535),
        default=default,
        show_default=True,
        help="Where Prometheus scrapes; 0 takes a free port.",
    )


@contextmanager
def serving_probes(registry: CollectorRegistry, port: int, host: str) -> Iterator[Readiness]:
    """Serve metrics and readiness for a block; the port is printed, since it may be a free one."""
    readiness = Readiness(ProcessMetrics(registry))
    served, stop = serve_probes(registry, readiness, port=port, host=host)
    click.echo(f"metrics: http://{host}:{served}/metrics")
    sys.stdout.flush()
    try:
        yield readiness
    finally:
        stop()


def serve_alone(
    name: str, make: Callable[[World, CollectorRegistry], Service], metrics_port: int
) -> None:
    """Run one service as the whole process, until it is told to stop."""
    from eventflow import app

    open_logs()
    world, registry = app.connect(), CollectorRegistry()
    settings = world.settings
    with serving_probes(registry, metrics_port, settings.metrics_host) as readiness:
        app.prepare(world)
        click.echo(f"eventflow {name} is running.")
        sys.stdout.flush()
        serve(
            [(name, lambda: make(world, registry))],
            grace=settings.runner.grace,
            readiness=readiness,
        )
    world.close()


def open_logs() -> None:
    """Log lines go to stderr: for people on a terminal, JSON otherwise."""
    renderer: Any = (
        structlog.dev.ConsoleRenderer()
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
