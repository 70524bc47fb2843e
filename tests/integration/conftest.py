"""Fixtures of the integration tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.flows import Flows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def flows(tmp_path: Path) -> Iterator[Flows]:
    """Flows to run, and the executors that were made for them; closed with the test."""
    flows = Flows(tmp_path)
    yield flows
    flows.close()
