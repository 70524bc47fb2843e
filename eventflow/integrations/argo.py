"""`ArgoEvent`: what code written for Metaflow publishes events with."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from eventflow.authoring.current import current
from eventflow.authoring.event import Event
from eventflow.errors import AuthorError, OperatorError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ArgoEvent", "ArgoEventException"]


class ArgoEventException(AuthorError):  # Metaflow's name of it
    """The event has no name, or is not published outside of a deployed run."""


class ArgoEvent:
    """An event as Metaflow has it: each `publish` is an event of its own, with a new id.

    `url` and `access_token` are Argo's and have no use here: the settings say where the bus is.
    Values keep their types, also those of `add_to_payload` (Metaflow makes them strings).
    """

    def __init__(
        self,
        name: str | Callable[[], str],
        url: str | None = None,  # noqa: ARG002 - see above
        payload: Mapping[str, Any] | None = None,
        access_token: str | None = None,  # noqa: ARG002 - see above
    ) -> None:
        said = name() if callable(name) else name
        if not isinstance(said, str):
            raise ArgoEventException(f"{said!r} is no name of an event: give a string.")
        self._name = said
        self._payload = dict(payload or {})

    def add_to_payload(self, key: str, value: Any) -> ArgoEvent:
        """Add a field, or replace it; returns the event itself."""
        self._payload[key] = value
        return self

    def publish(
        self,
        payload: Mapping[str, Any] | None = None,
        force: bool = True,
        ignore_errors: bool = True,
    ) -> str | None:
        """Publish an event; its id.

        With `force` false, only inside a deployed run. With `ignore_errors`, a bus that does not
        take it, or a run that is not deployed, is said on stderr and gives None; mistakes of the
        author (a payload that cannot be carried) are always raised.

        Raises:
            ArgoEventException: not inside a deployed run, neither forced nor ignoring errors.
            OperatorError: the bus does not take it, not ignoring errors.
        """
        try:
            if not force:
                self._check_deployed()
            published = Event(self._name, {**self._payload, **(payload or {})}).publish()
        except (ArgoEventException, OperatorError) as error:
            if not ignore_errors:
                raise
            sys.stderr.write(f"Event {self._name} was not published: {error}\n")
            return None
        sys.stderr.write(f"Event {self._name} published: {published.offset}\n")
        return published.id

    def safe_publish(
        self, payload: Mapping[str, Any] | None = None, ignore_errors: bool = True
    ) -> str | None:
        """Publish it inside a deployed run only; by hand, say on stderr that it was not."""
        return self.publish(payload=payload, force=False, ignore_errors=ignore_errors)

    def _check_deployed(self) -> None:
        task = current._running
        if task is None or task.task.run.request.version == 0:
            raise ArgoEventException(
                f"this is no deployed run. Use ArgoEvent({self._name!r}).publish(…) to publish"
                " it from anywhere."
            )
