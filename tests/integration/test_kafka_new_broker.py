"""The first transactions of a broker, which makes its transaction log for them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from eventflow.bus.kafka import KafkaBus
from eventflow.settings import KafkaSettings

if TYPE_CHECKING:
    from tests.servers.kafka import KafkaServer

pytestmark = pytest.mark.kafka
IDS = 24
PATIENCE = timedelta(seconds=30)


def test_a_coordinator_that_still_loads_its_log_is_waited_for(
    own_kafka_server: KafkaServer,
) -> None:
    settings = KafkaSettings(bootstrap_servers=own_kafka_server.bootstrap_servers)

    with closing(KafkaBus(settings)) as bus, ThreadPoolExecutor(8) as threads:
        taken = list(threads.map(lambda number: _takes_over(bus, f"id-{number}"), range(IDS)))

    assert taken == [f"id-{number}" for number in range(IDS)]


def _takes_over(bus: KafkaBus, transactional_id: str) -> str:
    with closing(bus.writer(transactional_id, timeout=PATIENCE)):
        return transactional_id
