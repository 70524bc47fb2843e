"""The flow's module, imported once a template: under its stem, from the root of its code.

By hand and deployed it has the same name, so that what one pickles the other can read.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from eventflow.authoring.flow_spec import FlowSpec
from eventflow.authoring.members import settle
from eventflow.errors import FlowProblem, InvalidFlow
from eventflow.execution.failure import Failure

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["Loaded", "load", "survives_fork"]

# Their threads and locks do not live on in a fork (docs/protocols.md §8); a librdkafka client
# that a module made when it was imported neither.
_NO_FORK = ("confluent_kafka", "grpc", "jax", "polars", "tensorflow", "torch")


@dataclass(frozen=True, slots=True)
class Loaded:
    """The module, or why there is none."""

    root: Path
    module: ModuleType | None
    failure: Failure | None

    @property
    def flow_file(self) -> ModuleType:
        """The module of a flow that could be imported."""
        assert self.module is not None
        return self.module


def load(root: Path, file: str) -> Loaded:
    """Import the flow's file; `root` becomes the working directory and first on `sys.path`. No
    file, nothing is imported.

    Never raises for what the file does: that is the failure of each of its tasks.
    """
    if not file:
        return Loaded(root, None, None)
    try:
        return Loaded(root, _import(root, root / file), None)
    except BaseException as error:  # noqa: BLE001 - user code may raise anything, sys.exit too
        return Loaded(root, None, Failure.of(error, root))


def survives_fork() -> bool:
    """Whether what is imported now works in a fork of this process.

    The count of the system's threads is no test: importing numpy starts one.
    """
    if sys.platform == "darwin" or threading.active_count() > 1:
        return False
    return not any(name in sys.modules for name in _NO_FORK)


def _import(root: Path, path: Path) -> ModuleType:
    os.chdir(root)
    sys.path.insert(0, str(root))
    sys.argv[:] = [str(path)]
    if path.stem in sys.modules:
        _refuse(path, f"a module named {path.stem} is imported already; give the file another name")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        _refuse(path, "it is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    for each in vars(module).values():
        if isinstance(each, type) and issubclass(each, FlowSpec) and each is not FlowSpec:
            settle(each)
    return module


def _refuse(path: Path, why: str) -> NoReturn:
    raise InvalidFlow([FlowProblem(f"this flow cannot be imported: {why}.", path.name, 1)])
