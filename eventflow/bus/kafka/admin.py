"""Questions to the cluster: an answer, or a typed error within the patience.

A question that fails for a reason that passes is asked again, by a new client: one that has met a
moved leader or a cluster without brokers (a single broker just after its start) may know nothing
better for minutes, or ever (*seen* with librdkafka 2.16).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from confluent_kafka import (
    OFFSET_INVALID,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import ConfigResource, NewTopic, OffsetSpec, ResourceType

from eventflow.bus.kafka.deadline import Deadline
from eventflow.bus.kafka.diagnosis import TOPIC_MISSING
from eventflow.errors import BusForbidden
from eventflow.model.log import TopicInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from concurrent.futures import Future

    from confluent_kafka import IsolationLevel
    from confluent_kafka.admin import TopicDescription

    from eventflow.bus.kafka.clients import Clients
    from eventflow.errors import EventflowError

__all__ = ["EARLIEST", "LATEST", "Admin"]

_PASSING = frozenset(
    {
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_CONTROLLER,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError._DESTROY,  # another thread has renewed the client
        KafkaError._NOENT,
        KafkaError._TIMED_OUT,
        KafkaError._TRANSPORT,
    }
)
_MAY_NOT_READ = frozenset({KafkaError.TOPIC_AUTHORIZATION_FAILED})
_TRIES = 2
_PROPAGATION = timedelta(seconds=3)
_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 1.0
EARLIEST: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]

_K = TypeVar("_K")
_T = TypeVar("_T")

_URL_SAFE = str.maketrans("+/", "-_")


class Admin:
    """Asks through one admin client at a time. Safe to use from several threads."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._patience = clients.settings.patience
        self._seconds = self._patience.total_seconds() / _TRIES
        self._client, self._diagnosis = clients.admin()

    def topics(self, names: Collection[str]) -> dict[str, TopicInfo | None]:
        """What each topic is; None when there is none."""
        answers = self._ask("asking for topics", lambda: self.ask_topics(names))
        return {
            name: answer and TopicInfo(name, url_safe(str(answer.topic_id)), len(answer.partitions))
            for name, answer in answers.items()
        }

    def find(self, names: Collection[str]) -> dict[str, TopicInfo | None]:
        """As `topics`; None only where the brokers have kept to it for a while.

        *Seen* on three brokers: one that has not heard yet of a new topic says that there is none.
        """
        deadline = Deadline(_PROPAGATION)
        while True:
            found = self.topics(names)
            if None not in found.values() or deadline.is_over or self.brokers() == 1:
                return found
            deadline.pause(_FIRST_PAUSE)

    def are_led(self, names: Collection[str]) -> bool:
        """Whether every partition of these topics has a leader: they can be written to."""
        answers = self._ask("asking for leaders", lambda: self.ask_topics(names)).values()
        return all(
            answer is not None and all(each.leader is not None for each in answer.partitions)
            for answer in answers
        )

    def ask_topics(self, names: Collection[str]) -> Mapping[str, Future[TopicDescription]]:
        """Ask what topics are, without waiting; the answer comes within half of the patience."""
        if not names:
            return {}
        return self._client.describe_topics(
            TopicCollection(list(names)), request_timeout=self._seconds
        )

    def configs(self, names: Collection[str]) -> dict[str, dict[str, str]]:
        """The settings of each topic; of a topic whose settings may not be read, none."""
        if not names:
            return {}
        doing, unread = "asking for topic settings", TOPIC_MISSING | _MAY_NOT_READ
        answers = self._ask(doing, lambda: self._ask_configs(names), unread)
        return {
            name: {key: entry.value for key, entry in (answer or {}).items()}
            for name, answer in answers.items()
        }

    def brokers(self) -> int:
        """How many brokers the cluster has."""
        # Not describe_cluster: *seen*, librdkafka 2.16 aborts the process on the answer of a
        # broker that has just started and knows of none.
        return self._persist("asking for brokers", self._count_brokers)

    def create(self, topics: list[NewTopic]) -> dict[str, KafkaError | None]:
        """Make topics; for each the reason why it was not."""

        def create() -> dict[str, KafkaError | None]:
            futures = self._client.create_topics(topics, request_timeout=self._seconds)
            return {name: self._refusal(future) for name, future in futures.items()}

        return self._persist("making topics", create)

    def offset(
        self, topic: str, partition: int, wanted: OffsetSpec, isolation: IsolationLevel
    ) -> int:
        """One offset of an existing partition, from its leader; -1 when there is none such."""

        def ask() -> int:
            (future,) = self.ask_offsets([(topic, partition)], wanted, isolation).values()
            offset = int(self._result(future).offset)
            # *Seen*: a leader that does not answer "succeeds" with an invalid offset.
            if offset == OFFSET_INVALID:
                raise _silence()
            return offset

        return self._persist(f"asking for an offset of {topic}/{partition}", ask)

    def ask_offsets(
        self,
        partitions: Iterable[tuple[str, int]],
        wanted: OffsetSpec,
        isolation: IsolationLevel,
    ) -> dict[tuple[str, int], Future[Any]]:
        """Ask for offsets of partitions, without waiting; a missing topic is never answered."""
        asked = self._client.list_offsets(
            {TopicPartition(*each): wanted for each in partitions},
            isolation_level=isolation,
            request_timeout=self._seconds,
        )
        return {(each.topic, each.partition): future for each, future in asked.items()}

    def close(self) -> None:
        """Let the client go, here and now.

        What still refers to this object (the traceback of an error) may be collected in any
        thread, also in the one in which the client answers: *seen*, librdkafka ends the process
        when a client is destroyed by its own thread.
        """
        del self._client

    def renew(self) -> None:
        """Ask through a new client from now on."""
        self._client, self._diagnosis = self._clients.admin()

    def explain(self, doing: str, error: KafkaException) -> EventflowError:
        """The typed error of a question that failed."""
        self._client.poll(0)  # hear the complaints
        return self._diagnosis.explain(doing, error.args[0])

    def _ask(
        self,
        doing: str,
        ask: Callable[[], Mapping[_K, Future[Any]]],
        nothing: frozenset[int] = TOPIC_MISSING,
    ) -> dict[_K, Any]:
        """An answer for each key; None for an error that is as good as `nothing`."""

        def answers() -> dict[_K, Any]:
            return {key: self._found(future, nothing) for key, future in ask().items()}

        return self._persist(doing, answers)

    def _persist(self, doing: str, attempt: Callable[[], _T]) -> _T:
        """Try until it succeeds, fails for good, or takes longer than the patience."""
        deadline, pause = Deadline(self._patience), _FIRST_PAUSE
        while True:
            try:
                return attempt()
            except KafkaException as error:
                told = self.explain(doing, error)
                passes = error.args[0].code() in _PASSING and not isinstance(told, BusForbidden)
                if deadline.is_over or not passes:
                    raise told from error
            deadline.pause(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
            self.renew()

    def _result(self, future: Future[Any]) -> Any:
        try:
            return future.result(self._seconds)
        except TimeoutError as error:
            raise _silence() from error

    def _found(self, future: Future[Any], nothing: frozenset[int]) -> Any:
        try:
            return self._result(future)
        except KafkaException as error:
            if error.args[0].code() in nothing:
                return None
            raise

    def _refusal(self, future: Future[Any]) -> KafkaError | None:
        try:
            self._result(future)
        except KafkaException as error:
            refusal: KafkaError = error.args[0]
            if refusal.code() in _PASSING:
                raise
            return refusal
        return None

    def _ask_configs(self, names: Collection[str]) -> dict[str, Future[Any]]:
        asked = self._client.describe_configs(
            [ConfigResource(ResourceType.TOPIC, name) for name in names],
            request_timeout=self._seconds,
        )
        return {resource.name: future for resource, future in asked.items()}

    def _count_brokers(self) -> int:
        count = len(self._client.list_topics(timeout=self._seconds).brokers)
        if not count:
            raise _silence()
        return count


def _silence() -> KafkaException:
    return KafkaException(KafkaError(KafkaError._TIMED_OUT, "no answer"))


def url_safe(topic_id: str) -> str:
    """A topic id as Kafka's own tools print it: librdkafka's has `/` and `+` (*seen*), which
    would be taken for a separator in keys and paths."""
    return topic_id.translate(_URL_SAFE)
