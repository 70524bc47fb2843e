"""`eventflow trigger-service`: one trigger service process."""

from __future__ import annotations

import click

from eventflow.cli.serving_options import metrics_port_option, serve_alone

__all__ = ["command"]


@click.command("trigger-service")
@metrics_port_option(9465)
def command(metrics_port: int) -> None:
    """Run a trigger service until SIGTERM; any number may run, each takes its share."""
    from eventflow import app

    serve_alone("trigger-service", app.trigger_service, metrics_port)
