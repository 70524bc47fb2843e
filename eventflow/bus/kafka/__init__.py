"""The bus on Apache Kafka. The only package that knows the Kafka client.

bus           KafkaBus: puts the rest together; fork-aware
clients       how each client of librdkafka is set up
diagnosis     what a client says, in eventflow's errors
admin         questions to the cluster; topics, ensuring: what topics are and have to be
publishing    appending outside of transactions
transactions  transactional ids, transactions, writers
fetching      polling, positions, seek, pause; pulse: whether the cluster is still there
consumer      members of groups; assignment: what they own, and its fence
reader        reading outside of groups
"""

from __future__ import annotations

from eventflow.bus.kafka.bus import KafkaBus

__all__ = ["KafkaBus"]
