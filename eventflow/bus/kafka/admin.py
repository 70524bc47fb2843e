"""Questions to the cluster, with answers or typed errors within the patience."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from confluent_kafka import KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import ConfigResource, NewTopic, OffsetSpec, ResourceType

from eventflow.bus.kafka.diagnosis import TOPIC_MISSING
from eventflow.errors import BusForbidden
from eventflow.model.log import TopicInfo

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from concurrent.futures import Future

    from confluent_kafka import IsolationLevel, KafkaError
    from confluent_kafka.admin import TopicDescription

    from eventflow.bus.kafka.clients import Clients

__all__ = ["EARLIEST", "LATEST", "Admin"]

EARLIEST: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]

_K = TypeVar("_K")


class Admin:
    """One admin client. Safe to use from several threads."""

    def __init__(self, clients: Clients) -> None:
        self._client, self._diagnosis = clients.admin()
        self._seconds = clients.settings.patience.total_seconds()

    def topics(self, names: Collection[str]) -> dict[str, TopicInfo | None]:
        """What each topic is; None when there is none."""
        answers = self._answers("asking for topics", self.ask_topics(names))
        return {name: self._info(name, answer) for name, answer in answers.items()}

    def are_led(self, names: Collection[str]) -> bool:
        """Whether every partition of these topics has a leader: they can be written to."""
        answers = self._answers("asking for leaders", self.ask_topics(names)).values()
        return all(
            not isinstance(answer, KafkaException)
            and all(partition.leader is not None for partition in answer.partitions)
            for answer in answers
        )

    def ask_topics(self, names: Collection[str]) -> Mapping[str, Future[TopicDescription]]:
        """The same question, without waiting for the answers."""
        if not names:
            return {}
        return self._client.describe_topics(
            TopicCollection(list(names)), request_timeout=self._seconds
        )

    def configs(self, names: Collection[str]) -> dict[str, dict[str, str]]:
        """The settings of each topic; of a topic whose settings may not be read, none."""
        if not names:
            return {}
        asked = self._client.describe_configs(
            [ConfigResource(ResourceType.TOPIC, name) for name in names],
            request_timeout=self._seconds,
        )
        answers = self._answers(
            "asking for topic settings", {resource.name: f for resource, f in asked.items()}
        )
        return {name: self._config(name, answer) for name, answer in answers.items()}

    def brokers(self) -> int:
        """How many brokers the cluster has."""
        future = self._client.describe_cluster(request_timeout=self._seconds)
        return len(self._answer("asking for brokers", future).nodes)

    def create(self, topics: list[NewTopic]) -> dict[str, KafkaError | None]:
        """Make topics; for each the reason why it was not."""
        futures = self._client.create_topics(topics, request_timeout=self._seconds)
        answers = self._answers("making topics", futures)
        return {
            name: answer.args[0] if isinstance(answer, KafkaException) else None
            for name, answer in answers.items()
        }

    def offset(
        self, topic: str, partition: int, wanted: OffsetSpec, isolation: IsolationLevel
    ) -> int:
        """One offset of an existing partition, from its leader; -1 when there is none such."""
        (future,) = self.ask_offsets([(topic, partition)], wanted, isolation).values()
        doing = f"asking for an offset of {topic}/{partition}"
        return int(self._answer(doing, future).offset)

    def ask_offsets(
        self,
        partitions: Iterable[tuple[str, int]],
        wanted: OffsetSpec,
        isolation: IsolationLevel,
    ) -> dict[tuple[str, int], Future[Any]]:
        """Offsets of partitions, without waiting. A missing topic is never answered."""
        asked = self._client.list_offsets(
            {TopicPartition(*each): wanted for each in partitions},
            isolation_level=isolation,
            request_timeout=self._seconds,
        )
        return {(each.topic, each.partition): future for each, future in asked.items()}

    def explain(self, doing: str, error: KafkaException) -> Exception:
        """The typed error of a question that failed."""
        self._client.poll(0)  # hear the complaints
        return self._diagnosis.explain(doing, error.args[0])

    def _answer(self, doing: str, future: Future[Any]) -> Any:
        (answer,) = self._answers(doing, {doing: future}).values()
        if isinstance(answer, KafkaException):
            raise self.explain(doing, answer) from answer
        return answer

    def _answers(self, doing: str, futures: Mapping[_K, Future[Any]]) -> dict[_K, Any]:
        """Each answer, or the KafkaException in its place."""
        return {key: self._outcome(doing, future) for key, future in futures.items()}

    def _outcome(self, doing: str, future: Future[Any]) -> Any:
        try:
            return future.result(self._seconds)
        except KafkaException as error:
            return error
        except TimeoutError as error:
            self._client.poll(0)
            raise self._diagnosis.silence(doing) from error

    def _info(self, name: str, answer: Any) -> TopicInfo | None:
        if isinstance(answer, KafkaException):
            if answer.args[0].code() in TOPIC_MISSING:
                return None
            raise self.explain(f"asking for topic {name}", answer) from answer
        return TopicInfo(name, str(answer.topic_id), len(answer.partitions))

    def _config(self, name: str, answer: Any) -> dict[str, str]:
        if not isinstance(answer, KafkaException):
            return {key: entry.value for key, entry in answer.items()}
        error = self.explain(f"asking for the settings of topic {name}", answer)
        if isinstance(error, BusForbidden):
            return {}
        raise error from answer
