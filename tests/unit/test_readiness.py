"""What `/ready` says, and when."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from eventflow.errors import InvalidSettings
from eventflow.metrics import ProcessMetrics
from eventflow.probes import serve_probes
from eventflow.readiness import Readiness

HOST = "127.0.0.1"


class Watch:
    """A clock that stands still until it is set."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def readiness(registry: CollectorRegistry, watch: Watch) -> Readiness:
    return Readiness(ProcessMetrics(registry), now=watch)


@pytest.fixture
def url(registry: CollectorRegistry, readiness: Readiness) -> Iterator[str]:
    port, stop = serve_probes(registry, readiness, port=0, host=HOST)
    yield f"http://{HOST}:{port}"
    stop()


def answer(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_process_is_not_ready_before_each_service_took_a_step(
    url: str, readiness: Readiness
) -> None:
    readiness.expect("runner")
    readiness.expect("trigger-service")
    readiness.say("runner", "")

    assert answer(f"{url}/ready") == (503, "trigger-service: it is starting\n")


def test_a_process_whose_services_make_progress_is_ready(url: str, readiness: Readiness) -> None:
    readiness.expect("runner")
    readiness.say("runner", "")

    assert answer(f"{url}/ready") == (200, "ready\n")


def test_a_service_says_why_it_makes_no_progress(url: str, readiness: Readiness) -> None:
    readiness.expect("runner")
    readiness.say("runner", "the bus is away")

    assert answer(f"{url}/ready") == (503, "runner: the bus is away\n")


def test_a_service_that_hangs_is_not_ready(url: str, readiness: Readiness, watch: Watch) -> None:
    readiness.expect("runner")
    readiness.say("runner", "")

    watch.seconds = 61

    assert answer(f"{url}/ready") == (503, "runner: it has not taken a step for 61 s\n")


def test_the_gauge_says_the_same_to_prometheus(url: str, readiness: Readiness) -> None:
    readiness.expect("runner")
    before = answer(f"{url}/metrics")[1]
    readiness.say("runner", "")

    after = answer(f"{url}/metrics")[1]

    assert 'eventflow_service_ready{service="runner"} 0.0' in before
    assert 'eventflow_service_ready{service="runner"} 1.0' in after


def test_another_path_says_what_there_is(url: str) -> None:
    assert answer(url) == (404, "Here are /metrics and /ready.\n")


def test_a_port_that_is_taken_is_named(url: str, readiness: Readiness) -> None:
    port = int(url.rpartition(":")[2])

    with pytest.raises(InvalidSettings, match=str(port)):
        serve_probes(CollectorRegistry(), readiness, port=port, host=HOST)
