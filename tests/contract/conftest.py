"""One fixture a port, parametrised over its backends."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.contract.buses import SESSION, Backend, SimulatedBackend
from tests.support.flows import Flows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import timedelta
    from pathlib import Path

    from eventflow.bus.port import Bus
    from eventflow.execution.port import Executor


@pytest.fixture(params=["sqlite", "simulated", pytest.param("kafka", marks=pytest.mark.kafka)])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Where the log of this test is."""
    if request.param == "kafka":
        server = request.getfixturevalue("kafka_server")
        return Backend("kafka", server.bootstrap_servers)
    if request.param == "simulated":
        return SimulatedBackend.make()
    folder: Path = request.getfixturevalue("tmp_path")
    return Backend("sqlite", str(folder))


@pytest.fixture
def connect(backend: Backend) -> Iterator[Callable[..., Bus]]:
    """Make further buses, each as from another process; closed with the test."""
    with ExitStack() as stack:

        def connect(session: timedelta = SESSION) -> Bus:
            bus = backend.connect(session)
            stack.callback(bus.close)
            return bus

        yield connect


@pytest.fixture
def bus(connect: Callable[..., Bus]) -> Bus:
    """A bus of each backend."""
    return connect()


@pytest.fixture
def flows(tmp_path: Path) -> Iterator[Flows]:
    """Flows to run, and the executors that were made for them; closed with the test."""
    flows = Flows(tmp_path)
    yield flows
    flows.close()


@pytest.fixture(params=["local"])
def executor(flows: Flows) -> Executor:
    """Where tasks run."""
    return flows.executor()
