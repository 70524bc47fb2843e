"""Flows written to a file and imported from it, as a user's are: with source, file and lines."""

from __future__ import annotations

import importlib.util
import sys
from textwrap import dedent
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

__all__ = ["Author"]


class Author:
    """Writes flow files below a folder and imports them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._modules: list[str] = []

    def module(self, source: str, name: str | None = None) -> ModuleType:
        """The module that `source` is, imported."""
        name = name or f"flow_{uuid4().hex}"
        path = self.folder / f"{name}.py"
        path.write_text(dedent(source))
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        self._modules.append(name)
        spec.loader.exec_module(module)
        return module

    def flow(self, body: str) -> type:
        """The class `F` that `body`, whose names are all public ones of eventflow, defines."""
        flow: type = self.module("from eventflow import *\n" + dedent(body)).F
        return flow

    def forget(self) -> None:
        """Forget the modules."""
        for name in self._modules:
            del sys.modules[name]
