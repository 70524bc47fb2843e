"""What a Kafka client says, in eventflow's errors.

librdkafka tries again by itself and tells why only on the side: a call that got no answer says
"timed out", the refused connection or the wrong password comes to the error callback. So each
client has a `Diagnosis` that hears both and puts them together.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from confluent_kafka import KafkaError

from eventflow.bus.kafka.deadline import Deadline
from eventflow.errors import BusForbidden, BusUnreachable, Fenced, RecordTooLarge, TopicMismatch

if TYPE_CHECKING:
    from eventflow.errors import EventflowError
    from eventflow.settings import KafkaSettings

__all__ = ["FENCED", "GROUP_FENCED", "TOPIC_MISSING", "Diagnosis"]

# Another member or generation owns the partition.
GROUP_FENCED = frozenset(
    {
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.UNKNOWN_MEMBER_ID,
    }
)
# … or another producer owns the transactional id.
FENCED = GROUP_FENCED | {
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.PRODUCER_FENCED,
    KafkaError._FENCED,
}
TOPIC_MISSING = frozenset(
    {
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.UNKNOWN_TOPIC_ID,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._UNKNOWN_TOPIC,
    }
)
_TOO_LARGE = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE})
_BAD_LOGIN = frozenset({KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED})
_FORBIDDEN = _BAD_LOGIN | {
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
}
_MEMORY = timedelta(minutes=1)

_log = structlog.get_logger("eventflow.bus.kafka")


class Diagnosis:
    """The complaints of one client, and the error that a failed call of it becomes."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._address = settings.bootstrap_servers
        self._complaint: KafkaError | None = None
        self._fresh = Deadline(_MEMORY)

    def hear(self, error: KafkaError) -> None:
        """The error callback of librdkafka."""
        _log.debug("kafka.client_error", error=error.name(), detail=error.str())
        # That all brokers are down follows on the reason why, and says less.
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            self._complaint, self._fresh = error, Deadline(_MEMORY)

    @property
    def has_heard(self) -> bool:
        """Whether the client has complained at all."""
        return self._complaint is not None

    def log(self, level: int, message: str, *arguments: object) -> None:
        """The log of librdkafka, whose `logger` this object is."""
        _log.debug("kafka.client_log", level=level, detail=message % arguments)

    def explain(self, doing: str, error: KafkaError) -> EventflowError:
        """The error that says what failed while `doing` something, and what to check."""
        code = error.code()
        if code in FENCED:
            return Fenced(f"{doing}: another owner took over ({error.str()})")
        if code in _TOO_LARGE:
            return RecordTooLarge(f"{doing}: a record is over the limit ({error.str()})")
        if code in TOPIC_MISSING:
            return TopicMismatch(
                f"{doing}: {error.str()}. `eventflow topics ensure` makes missing topics"
            )
        if code in _FORBIDDEN:
            return self._forbidden(doing, error)
        return self.silence(doing, error)

    def silence(self, doing: str, error: KafkaError | None = None) -> EventflowError:
        """The error of a call that got no answer, or none that helps."""
        complaint = None if self._fresh.is_over else self._complaint
        if complaint is not None and complaint.code() in _BAD_LOGIN:
            return self._forbidden(doing, complaint)
        heard = [each.str() for each in (error, complaint) if each is not None]
        return BusUnreachable(
            f"{doing}: Kafka at {self._address} did not do it in time"
            f" ({'; '.join(heard) or 'no answer'})."
            " Check EVENTFLOW_KAFKA__BOOTSTRAP_SERVERS, that a broker listens there, and that"
            " the advertised.listeners of the brokers can be reached from here"
        )

    def _forbidden(self, doing: str, error: KafkaError) -> EventflowError:
        return BusForbidden(
            f"{doing}: Kafka at {self._address} refuses ({error.str()})."
            " Check the credentials in EVENTFLOW_KAFKA__CONFIG and the ACLs of the principal"
        )
