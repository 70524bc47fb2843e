"""Deploying on the embedded bus, without a trigger service: what stands afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from eventflow import app
from eventflow.context import World
from eventflow.deploy import NewVersion, deploy, versions
from eventflow.errors import InvalidName
from eventflow.execution.code import package
from eventflow.model.graph import FlowGraph, StepKind, StepNode
from eventflow.model.log import NewRecord, TopicPartition
from eventflow.model.namespace import Namespace
from eventflow.settings import Settings

_SOON = timedelta(milliseconds=300)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with closing(app.connect(Settings(home=tmp_path / "state"))) as world:
        yield world


def _flow(tmp_path: Path, namespace: str = "p/prod") -> tuple[NewVersion, bytes]:
    file = tmp_path / "flow.py"
    file.write_text("# a flow\n")
    archive, code = package(file, leave_out=[tmp_path / "state"])
    step = StepNode("end", StepKind.END, (), is_join=False, line=1)
    graph = FlowGraph("Train", "flow.py", "", (step,))
    new = NewVersion(Namespace.parse(namespace), graph, (), None, code, "test")
    return new, archive


def test_a_version_that_cannot_be_read_keeps_its_number(world: World, tmp_path: Path) -> None:
    key, topic = b"p/prod/Train/7", world.topics.deployments
    world.bus.publish([NewRecord(topic, key, b"of a later program", partition=0)])

    deployed = deploy(world, *_flow(tmp_path), echo=_SOON)

    assert deployed.version == 8
    assert [each.version for each in versions(world)] == [8]


@dataclass
class Meddling:
    """Somebody writes what is no record, just before the marks."""

    world: World

    def reach(self, name: str) -> None:
        if name == "deploy.appended":
            garbage = NewRecord(self.world.topics.events, b"p/prod", b"garbage")
            self.world.bus.publish([garbage])


def test_a_record_that_cannot_be_read_hides_no_mark(world: World, tmp_path: Path) -> None:
    effects = replace(world.effects, faults=Meddling(world))

    with closing(replace(world, effects=effects)) as watched:
        deployed = deploy(watched, *_flow(tmp_path), echo=_SOON)

    assert len(deployed.marks) == 2


@pytest.mark.parametrize("length", [pytest.param(128, id="flow"), pytest.param(110, id="lineage")])
def test_names_that_no_run_could_be_stored_under_are_refused_before_anything_is_written(
    world: World, tmp_path: Path, length: int
) -> None:
    longest = f"{'p' * length}/test.{'b' * length}"

    with pytest.raises(InvalidName, match="shorter"):
        deploy(world, *_flow(tmp_path, longest), echo=_SOON)

    assert world.bus.high_watermark(TopicPartition(world.topics.deployments, 0)) == 0
