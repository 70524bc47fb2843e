"""`eventflow up`: trigger service and runner in one process."""

from __future__ import annotations

import sys

import click

from eventflow.cli.serving_options import metrics_port_option, open_logs, serving_probes

__all__ = ["command"]


@click.command("up")
@metrics_port_option(9464)
def command(metrics_port: int) -> None:
    """Run everything in this process, until Ctrl-C: trigger service and runner.

    All state is durable: kill it, start it again, and nothing is lost. With Kafka or S3 in the
    settings it uses those. `deploy`, `publish` and `run` work with or without it.
    """
    from prometheus_client import CollectorRegistry

    from eventflow import app
    from eventflow.serving import hold, serve

    open_logs()
    world = app.connect()
    settings, registry = world.settings, CollectorRegistry()
    with hold(settings.folder):
        click.echo(f"state:   {settings.folder}")
        click.echo(f"bus:     {settings.kafka.bootstrap_servers or 'embedded'}")
        click.echo(f"store:   {world.store.url}")
        with serving_probes(registry, metrics_port, settings.metrics_host) as readiness:
            app.prepare(world)
            click.echo("eventflow is up; Ctrl-C ends it.")
            sys.stdout.flush()
            serve(
                [
                    ("trigger-service", lambda: app.trigger_service(world, registry)),
                    ("runner", lambda: app.runner(world, registry)),
                ],
                grace=settings.runner.grace,
                readiness=readiness,
            )
        world.close()
