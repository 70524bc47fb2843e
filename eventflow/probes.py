"""What is asked of a serving process over HTTP: `/metrics` by Prometheus, `/ready` by whatever
keeps it running. Anything else is 404."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from eventflow.errors import InvalidSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry

    from eventflow.readiness import Readiness

__all__ = ["serve_probes"]

_TEXT = ("Content-Type", "text/plain; charset=utf-8")


def serve_probes(
    registry: CollectorRegistry, readiness: Readiness, *, port: int, host: str
) -> tuple[int, Callable[[], None]]:
    """Serve, in a thread of its own; (the port, which is a free one for 0; how to stop).

    Raises:
        InvalidSettings: the port is taken, or the address is none of this machine.
    """
    try:
        server = make_server(host, port, _program(registry, readiness), ThreadingWSGIServer, _Quiet)
    except OSError as error:
        raise InvalidSettings(
            f"Metrics cannot be served on {host}:{port}: {error.strerror}."
            " Name another port with --metrics-port, or 0 for a free one."
        ) from error
    thread = threading.Thread(target=server.serve_forever, name="probes", daemon=True)
    thread.start()

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return server.server_port, stop


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing: a probe a second is no news."""


def _program(registry: CollectorRegistry, readiness: Readiness) -> Any:
    metrics: Any = make_wsgi_app(registry)

    def program(environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        match environ["PATH_INFO"]:
            case "/metrics":
                return metrics(environ, start)
            case "/ready":
                reasons = readiness.reasons()
                start("503 Service Unavailable" if reasons else "200 OK", [_TEXT])
                return ["".join(f"{each}\n" for each in reasons or ["ready"]).encode()]
        start("404 Not Found", [_TEXT])
        return [b"Here are /metrics and /ready.\n"]

    return program
