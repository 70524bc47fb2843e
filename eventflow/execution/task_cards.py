"""The cards of one attempt: collected while its step runs, made and stored when it has ended."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from eventflow.authoring.members import parameters_of
from eventflow.cards.board import CardBoard
from eventflow.cards.page import Made, Report, page
from eventflow.cards.preview import ROWS
from eventflow.model.config_value import plain
from eventflow.store.runs import place_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from eventflow.authoring.decorator import Declaration
    from eventflow.authoring.flow_spec import FlowSpec
    from eventflow.execution.failure import Failure
    from eventflow.execution.secrets.mask import Mask
    from eventflow.model.task import TaskPlan
    from eventflow.store.artifacts import ArtifactRef
    from eventflow.store.port import Store

__all__ = ["TaskCards"]


class TaskCards:
    """The cards that a step declares."""

    def __init__(self, declarations: Sequence[Declaration]) -> None:
        self._declarations = declarations
        self.board = CardBoard([each.attributes["id"] for each in declarations])

    def put(
        self,
        store: Store,
        task: TaskPlan,
        times: tuple[datetime, datetime],
        made: tuple[FlowSpec, Mapping[str, ArtifactRef]],
        failure: Failure | None,
        mask: Mask | None,
    ) -> str:
        """Make them and put them into the store; a line for each that could not be made, which
        fails no task. `times` are beginning and end of the attempt, `made` its flow and what is
        stored of its artifacts.

        Raises:
            StoreUnreachable, StoreForbidden, BucketMissing: they cannot be put.
        """
        place = place_of(task.run.request)
        report = _report(task, times, made, failure)
        complaints = ""
        pages: list[tuple[str, bytes]] = []
        for each in self._declarations:
            if failure is not None and not each.attributes["save_errors"]:
                continue
            try:
                html = self._make(each.attributes, report)
            except (Exception, _TooLong) as error:  # noqa: BLE001 - what it shows is user code
                complaints += f"eventflow: @card could not be made: {_said(error)}\n"
                continue
            html = html if mask is None else mask.text(html)
            key = place.card(task.key, each.attributes["id"])
            pages.append((key, html.encode(errors="backslashreplace")))
        store.put_all(pages)
        return complaints if mask is None else mask.text(complaints)

    def _make(self, attributes: Mapping[str, Any], report: Report) -> str:
        with _limit(attributes["timeout"]):
            return page(
                report,
                self.board.of(attributes["id"]).parts,
                is_blank=attributes["type"] == "blank",
                rows=attributes["options"].get("rows", ROWS),
            )


def _report(
    task: TaskPlan,
    times: tuple[datetime, datetime],
    made: tuple[FlowSpec, Mapping[str, ArtifactRef]],
    failure: Failure | None,
) -> Report:
    request, (flow, stored) = task.run.request, made
    values, given = flow._new_artifacts(), parameters_of(type(flow))
    parameters = flow._binding.parameters
    artifacts = [
        Made(
            name=name,
            type_name=stored[name].type_name if name in stored else type(values[name]).__name__,
            size_bytes=stored[name].size_bytes if name in stored else None,
            has_value=name in values,
            value=values.get(name),
        )
        for name in stored.keys() | values.keys()
        if not name.startswith("_") and name not in given
    ]
    started_at, finished_at = times
    return Report(
        pathspec=f"{request.flow}/{request.run_id}/{task.key.step}/{task.key.task}",
        namespace=request.namespace,
        attempt=task.key.attempt,
        started_at=started_at,
        finished_at=finished_at,
        parameters={each.name: plain(parameters.get(each.name)) for each in given.values()},
        artifacts=artifacts,
        reason=failure.reason if failure else "",
        traceback=failure.traceback if failure else "",
    )


class _TooLong(BaseException):
    """It is no Exception, so that nothing that a card is made of catches it."""


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if isinstance(error, Exception) else str(error)


@contextmanager
def _limit(seconds: float) -> Iterator[None]:
    """Interrupt what runs within the block when it takes longer."""

    def interrupt(*_: object) -> None:
        raise _TooLong(f"it took more than {seconds:g} s")

    former = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
