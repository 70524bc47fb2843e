"""`eventflow trigger-service`: one trigger service process."""

from __future__ import annotations

import sys

import click

from eventflow.cli.serving_options import metrics_port_option, open_logs, serving_probes

__all__ = ["command"]


@click.command("trigger-service")
@metrics_port_option(9465)
def command(metrics_port: int) -> None:
    """Run a trigger service until SIGTERM; any number may run, each takes its share."""
    from prometheus_client import CollectorRegistry

    from eventflow import app
    from eventflow.serving import serve

    open_logs()
    world, registry = app.connect(), CollectorRegistry()
    settings = world.settings
    with serving_probes(registry, metrics_port, settings.metrics_host) as readiness:
        app.prepare(world)
        click.echo("eventflow trigger-service is running.")
        sys.stdout.flush()
        serve(
            [("trigger-service", lambda: app.trigger_service(world, registry))],
            grace=settings.runner.grace,
            readiness=readiness,
        )
    world.close()
