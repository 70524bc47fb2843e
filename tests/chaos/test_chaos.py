"""The guarantees under chaos: real services, a real broker, a real S3 server that keeps versions.

With short clocks; `python -m tests.chaos` takes the default ones, and as long as it is told.
"""

from __future__ import annotations

import secrets
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from tests.chaos.chaos import Servers, run
from tests.chaos.shape import short
from tests.servers.kafka import KafkaServer
from tests.servers.s3 import S3Server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.kafka,
    pytest.mark.s3,
    pytest.mark.timeout(600),
]


def test_what_was_acknowledged_happens_once_whatever_dies(
    tmp_path: Path, own_kafka_server: KafkaServer, own_versioned_s3_server: S3Server
) -> None:
    seed = secrets.randbelow(10**9)

    servers = Servers(own_kafka_server, own_versioned_s3_server)
    figures = run(short(timedelta(seconds=60)), seed, tmp_path, servers)

    sys.stdout.write(f"seed {seed}: {figures}\n")
