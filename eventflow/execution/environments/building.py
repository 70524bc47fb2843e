"""Environments on this machine: `<cache>/environments/<digest of the lock>`, each built once.

A folder appears whole. Processes that build the same at once wait for each other; what one that
died has left half-done is built again. What is there is used without uv, network or store.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import sysconfig
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eventflow.errors import InvalidPackages
from eventflow.execution.environments.lock import lock_of
from eventflow.execution.environments.uv import find_python, run_uv
from eventflow.execution.file_lock import locked
from eventflow.store.blobs import digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventflow.effects import Effects
    from eventflow.execution.environments.lock import Lock
    from eventflow.execution.environments.request import Request
    from eventflow.store.port import Store

__all__ = ["CONTENT", "FAULT_POINTS", "Environment", "Place", "build", "find"]
__all__ += ["folder_of", "remnants_of"]

FAULT_POINTS = ("environment.locked", "environment.installed", "environment.built")

CONTENT = "environment.json"
"""What an environment was asked for, in its folder: for people, nothing depends on it."""

_SHORT = 32
_NOT_INHERITED = ("PYTHONHOME", "PYTHONPATH")


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment. `library` is a folder with the runner's eventflow and nothing else."""

    folder: str
    library: str

    @property
    def python(self) -> str:
        """Its interpreter."""
        return f"{self.folder}/bin/python"

    def variables(self, inherited: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
        """The variables of a process in it: what it starts by name is of the environment, and
        every interpreter of it can import eventflow. Where a parent's interpreter looks for
        modules is not inherited; a step may say so in its `own` variables."""
        kept = {name: value for name, value in inherited.items() if name not in _NOT_INHERITED}
        given = {**kept, **own}
        return {
            **given,
            "PATH": _joined(f"{self.folder}/bin", given.get("PATH", os.defpath)),
            "PYTHONPATH": _joined(self.library, given.get("PYTHONPATH", "")),
            "VIRTUAL_ENV": self.folder,
        }


@dataclass(frozen=True, slots=True)
class Place:
    """Where environments of a project are found: the cache of this machine, and whose locks
    count, those in the store at `store_url`."""

    cache: Path
    store_url: str
    project: str

    @property
    def folder(self) -> Path:
        """Of the environments of all projects."""
        return folder_of(self.cache)

    def link(self, request: Request) -> Path:
        """What leads from a request to its environment, when that has been built."""
        said = (self.store_url, self.project, request.digest, sys.version, _platform())
        return self.folder / "requests" / digest_of("\n".join(said).encode())[:_SHORT]


def folder_of(cache: Path) -> Path:
    """Of the environments of all projects on this machine."""
    return cache.absolute() / "environments"


def remnants_of(folder: Path) -> tuple[Path, ...]:
    """Where processes that died have left halves of an environment."""
    return folder.with_suffix(".partial"), folder.with_suffix(".removed")


def find(place: Place, request: Request) -> Environment | None:
    """The environment of a request, when it was built on this machine."""
    link = place.link(request)
    if not (link / "bin" / "python").exists():  # also when its interpreter was uninstalled
        return None
    return _environment(link.resolve())


def build(place: Place, request: Request, store: Store, effects: Effects) -> Environment:
    """The environment of a request, built when it is not there. May take minutes.

    Raises:
        InvalidPackages: there are no such packages, or they cannot be installed.
        EnvironmentUnavailable: they cannot be had here and now.
    """
    lock = lock_of(store, effects, place.project, request)
    effects.faults.reach("environment.locked")
    name = digest_of(f"{lock.digest}\n{sys.version}\n{_platform()}".encode())[:_SHORT]
    folder = place.folder / name
    place.folder.mkdir(parents=True, exist_ok=True)
    with locked(folder.with_suffix(".lock")):
        if not (folder / "bin" / "python").exists():
            partial, removed = remnants_of(folder)
            for stale in (partial, removed, folder):
                shutil.rmtree(stale, ignore_errors=True)
            _install(lock, partial)
            effects.faults.reach("environment.installed")
            os.sync()  # a folder that is there after a power cut is there whole
            partial.rename(folder)
    _point(place.link(request), folder)
    effects.faults.reach("environment.built")
    return _environment(folder)


def _install(lock: Lock, folder: Path) -> None:
    """Into a folder that is moved afterwards."""
    if sys.platform not in lock.platforms:
        found = " and ".join(lock.platforms)
        raise InvalidPackages(
            f"{', '.join(lock.request.requirements)} were found for {found} only, and this machine"
            f" is {sys.platform}: run the flow there, or ask for other versions."
        )
    python = find_python(lock.request.python, folder.parent)
    folder.mkdir()
    listing = folder / "requirements.lock"
    listing.write_text(lock.text)
    asked = {"packages": lock.request.requirements, "python": lock.request.python}
    folder.joinpath(CONTENT).write_text(json.dumps(asked))
    what = "The environment cannot be built"
    run_uv(
        ["venv", "--relocatable", "--no-project", "--allow-existing", "--python", python, "."],
        folder,
        what,
    )
    run_uv(
        ["pip", "sync", "--python", "bin/python", "--require-hashes", "--quiet", listing.name],
        folder,
        what,
    )


def _point(link: Path, folder: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    fresh = link.with_suffix(f".{os.getpid()}")
    with suppress(FileNotFoundError):  # of a process that had our number and died
        fresh.unlink()
    fresh.symlink_to(folder)
    fresh.replace(link)


def _environment(folder: Path) -> Environment:
    package = Path(__file__).resolve().parents[2]
    # Its name says that it is installed code, also to who looks below the folder of a flow.
    library = folder.parent / "libraries" / digest_of(str(package).encode())[:_SHORT]
    library /= "site-packages"
    library.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        library.joinpath(package.name).symlink_to(package)
    return Environment(str(folder), str(library))


def _joined(first: str, further: str) -> str:
    return f"{first}{os.pathsep}{further}" if further else first


def _platform() -> str:
    return sysconfig.get_platform()
