"""One server of each kind for all processes of a test run.

The process that starts the others enters `shared_servers` first; they find the servers in the
environment, as they would find those of a user. What the environment names already stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from os import environ

import pytest

from tests.servers.finding import ServerMissing, found_kafka, found_s3


@contextmanager
def shared_servers() -> Iterator[None]:
    """The environment names the servers that can be had; those started here end with the context.
    Who needs one that cannot be had is told so when it looks for it."""
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        if "EVENTFLOW_TEST_KAFKA" not in environ:
            with suppress(ServerMissing):
                kafka = stack.enter_context(found_kafka())
                patch.setenv("EVENTFLOW_TEST_KAFKA", kafka.bootstrap_servers)
        if "EVENTFLOW_TEST_S3" not in environ:
            with suppress(ServerMissing):
                s3 = stack.enter_context(found_s3())
                patch.setenv("EVENTFLOW_TEST_S3", s3.endpoint_url)
                patch.setenv("EVENTFLOW_TEST_S3_ACCESS_KEY", s3.access_key)
                patch.setenv("EVENTFLOW_TEST_S3_SECRET_KEY", s3.secret_key)
        yield
