"""What of the decorators of a step its task does itself: secrets, cards, what a catch prints.

Most steps have none of it, so what it takes is imported when a step has: a task is a fork, and
pays for all that its template holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from eventflow.authoring.decorator import notes_of
from eventflow.authoring.members import class_attribute
from eventflow.execution.failure import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from eventflow.authoring.decorator import Declaration
    from eventflow.authoring.flow_spec import FlowSpec
    from eventflow.cards.board import CardBoard
    from eventflow.execution.secrets.mask import Mask
    from eventflow.execution.task_cards import TaskCards
    from eventflow.model.graph import StepNode
    from eventflow.model.task import TaskPlan
    from eventflow.store.artifacts import ArtifactRef
    from eventflow.store.port import Store

__all__ = ["Extras"]

_NAMES = ("secrets", "card", "catch")


@dataclass(slots=True)
class Extras:
    """Those of one attempt. `mask` hides the secrets that were set, None when there are none."""

    secrets: tuple[Declaration, ...] = ()
    catch: Declaration | None = None
    cards: TaskCards | None = None
    mask: Mask | None = None

    @classmethod
    def of(cls, flow_class: type, node: StepNode) -> Extras:
        """What a step declares, or was given with `--with`."""
        own = notes_of(class_attribute(flow_class, node.name))
        if not node.how.added and not any(each.name in _NAMES for each in own):
            return cls()
        from eventflow.authoring.decorator_policy import decorators_in_force  # noqa: PLC0415

        found = {
            name: decorators_in_force(flow_class, node.name, node.how, name) for name in _NAMES
        }
        catch = found["catch"][0] if found["catch"] else None
        return cls(found["secrets"], catch, _cards(found["card"]))

    @property
    def board(self) -> CardBoard | None:
        """What `current.card` is."""
        return self.cards.board if self.cards is not None else None

    @property
    def prints_caught(self) -> bool:
        """Whether a failure that `@catch` caught is printed."""
        return self.catch is None or bool(self.catch.attributes["print_exception"])

    def set_secrets(self, tell: Callable[[tuple[str, ...]], None]) -> None:
        """Fetch the secrets and set them in this process; from then on they are hidden. Before
        anything can print them, others are told to hide them too.

        Raises:
            InvalidSecret: there is one that cannot be used.
        """
        if not self.secrets:
            return
        from eventflow.execution.secrets.fetching import set_secrets  # noqa: PLC0415
        from eventflow.execution.secrets.mask import Mask  # noqa: PLC0415

        values = set_secrets(self.secrets)
        tell(values)
        self.mask = Mask(values)
        self.mask.cover_streams()

    def hide(self, values: tuple[str, ...]) -> None:
        """Hide the secrets of an attempt whose process is gone."""
        if values:
            from eventflow.execution.secrets.mask import Mask  # noqa: PLC0415

            self.mask = Mask(values)

    def hidden(self, failure: Failure) -> Failure:
        """The failure without the values of secrets."""
        if self.mask is None:
            return failure
        reason, told = self.mask.text(failure.reason), self.mask.text(failure.traceback)
        return Failure(reason, told, failure.is_final)

    def hidden_bytes(self, data: bytes) -> bytes:
        """Output without them."""
        return data if self.mask is None else self.mask.data(data)

    def put_cards(
        self,
        store: Store,
        task: TaskPlan,
        times: tuple[datetime, datetime],
        made: tuple[FlowSpec, Mapping[str, ArtifactRef]],
        failure: Failure | None,
    ) -> str:
        """Store the cards of an attempt; what is to be said of those that could not be made.
        `times` are its beginning and its end, `made` its flow and what is stored of it.

        Raises:
            StoreUnreachable, StoreForbidden, BucketMissing: they cannot be put.
        """
        if self.cards is None:
            return ""
        return self.cards.put(store, task, times, made, failure, self.mask)


def _cards(declarations: tuple[Declaration, ...]) -> TaskCards | None:
    if not declarations:
        return None
    from eventflow.execution.task_cards import TaskCards  # noqa: PLC0415

    return TaskCards(declarations)
