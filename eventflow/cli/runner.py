"""`eventflow runner`: one runner process."""

from __future__ import annotations

import click

from eventflow.cli.serving_options import metrics_port_option, serve_alone

__all__ = ["command"]


@click.command("runner")
@metrics_port_option(9466)
def command(metrics_port: int) -> None:
    """Run a runner until SIGTERM; any number may run, each takes its share."""
    from eventflow import app

    serve_alone("runner", app.runner, metrics_port)
