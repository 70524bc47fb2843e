"""Deployments: a flow live in a namespace, and the marks from which its versions are in force."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from eventflow.model.graph import FlowGraph
    from eventflow.model.timetable import Timetable
    from eventflow.model.trigger import Trigger

__all__ = ["Activation", "CodePackage", "Deployment", "ParameterSpec", "ParameterType"]


class ParameterType(StrEnum):
    """The types that a parameter can have.

    The value of a `file` is the reference to its content, an artifact; that of a `config` is set
    when the flow is deployed. Events give neither.
    """

    STR = "str"
    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    JSON = "json"
    FILE = "file"
    CONFIG = "config"

    @property
    def is_mapped(self) -> bool:
        """Whether an event can give a parameter of that type its value."""
        return self not in (ParameterType.FILE, ParameterType.CONFIG)


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """A parameter of a flow. `default` is JSON text, None when there is none. `encoding` is that of
    an included file with text; None of one with bytes, and of other parameters."""

    name: str
    type: ParameterType
    default: str | None
    is_required: bool
    help: str = ""
    encoding: str | None = None


@dataclass(frozen=True, slots=True)
class CodePackage:
    """The code of a version: a deterministic archive in the store, by the SHA-256 of its bytes.

    `file` is the flow's file, relative to the root of the archive.
    """

    digest: str
    size_bytes: int
    file: str


@dataclass(frozen=True, slots=True)
class Deployment:
    """One whole, immutable version: all that the services need to know of a flow.

    Its runs start with `tags`; `system_tags` are what the deploying process says of itself.
    """

    namespace: str
    flow: str
    version: int
    graph: FlowGraph
    parameters: tuple[ParameterSpec, ...]
    trigger: Trigger | None
    code: CodePackage
    deployed_at: datetime
    deployed_by: str
    tags: tuple[str, ...] = ()
    system_tags: tuple[str, ...] = ()
    schedule: Timetable | None = None

    @property
    def key(self) -> tuple[str, str, int]:
        """(namespace, flow, version): what names it everywhere."""
        return self.namespace, self.flow, self.version


@dataclass(frozen=True, slots=True)
class Activation:
    """A mark in the log of `source`: from here on `version` of a deployment is in force there.

    `source` is the deployment's own namespace, or `project/*`. With `is_deleted`, no version is.
    """

    source: str
    namespace: str
    flow: str
    version: int
    is_deleted: bool
    marked_at: datetime
