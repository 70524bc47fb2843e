"""Whether the cluster is still there, and where paused partitions end.

A consumer that gets nothing cannot tell an idle topic from a dead cluster: librdkafka goes on
trying for ever, in silence. So the cluster is asked every few seconds on the side, without
anybody waiting for the answer.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from confluent_kafka import IsolationLevel, KafkaError, KafkaException

from eventflow.bus.kafka.admin import LATEST
from eventflow.bus.kafka.deadline import Deadline

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from concurrent.futures import Future

    from eventflow.bus.kafka.admin import Admin

__all__ = ["Pulse"]

_INTERVAL = timedelta(seconds=2.5)


class Pulse:
    """Asks about the topics of one consumer. `ends` has the end of each paused partition, as of
    the last answer."""

    def __init__(self, admin: Admin, topics: Collection[str]) -> None:
        self.ends: dict[tuple[str, int], int] = {}
        self._admin = admin
        self._topics = topics
        self._signs: Mapping[str, Future[Any]] = {}
        self._offsets: dict[tuple[str, int], Future[Any]] = {}
        self._next = Deadline(_INTERVAL)
        self._was_silent = False

    def beat(self, paused: Collection[tuple[str, int]]) -> None:
        """Look for answers, and ask again when it is time. Returns at once.

        Raises:
            BusUnreachable, BusForbidden: the cluster did not answer within the patience.
            TopicMismatch: a topic was deleted.
        """
        self._look_for_signs()
        self._look_for_ends()
        if self._next.is_over:
            self._next = Deadline(_INTERVAL)
            if not self._signs:
                self._signs = self._admin.ask_topics(self._topics)
            if paused and not self._offsets:
                self._offsets = self._admin.ask_offsets(
                    paused, LATEST, IsolationLevel.READ_COMMITTED
                )

    def _look_for_signs(self) -> None:
        if not self._signs or not all(sign.done() for sign in self._signs.values()):
            return
        signs, self._signs = self._signs, {}
        try:
            for sign in signs.values():
                sign.result()
        except KafkaException as error:
            self._doubt(error)
        else:
            self._was_silent = False

    def _doubt(self, error: KafkaException) -> None:
        code = error.args[0].code()
        if code == KafkaError._DESTROY:
            return  # another thread has renewed the client
        if code != KafkaError._TIMED_OUT or self._was_silent:
            self._was_silent = False
            doing = f"waiting for records of {', '.join(self._topics)}"
            raise self._admin.explain(doing, error) from error
        # The fault may be the client's: once more, by another one.
        self._was_silent = True
        self._admin.renew()
        self._signs = self._admin.ask_topics(self._topics)

    def _look_for_ends(self) -> None:
        """An end that cannot be had is asked for again: whether that matters, the signs say."""
        if all(answer.done() for answer in self._offsets.values()):
            answers, self._offsets = self._offsets, {}
            for partition, answer in answers.items():
                if answer.exception() is None:
                    self.ends[partition] = answer.result().offset
