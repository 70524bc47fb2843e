"""The way up: what a thing that has a name is part of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventflow.client.artifacts import DataArtifact
from eventflow.client.flow import Flow
from eventflow.client.run import Run
from eventflow.client.step import Step
from eventflow.client.task import Task

if TYPE_CHECKING:
    from eventflow.client.named import Named

__all__ = ["parent_of"]


def parent_of(child: Named) -> Flow | Run | Step | Task:
    """The flow of a run, the run of a step, and so on down; nothing is read."""
    place = child._place
    match child:
        case DataArtifact():
            return Task.at(place, child._key)
        case Task():
            return Step.at(place, child._key.step)
        case Step():
            return Run.at(place)
    return Flow.at(place.flow, place.namespace)
