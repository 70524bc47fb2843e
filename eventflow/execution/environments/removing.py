"""The environments that stand on this machine, and their removal.

One that is used, or is being built, is left alone. Removing renames the folder first, so that
nobody takes half an environment for a whole one, wherever it is broken off; what was broken off is
finished by the next removal or build. A removed environment is built anew by who needs it.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from eventflow.execution.environments.building import CONTENT, folder_of, remnants_of
from eventflow.execution.environments.usage import used_file
from eventflow.execution.file_lock import locked_at_once

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventflow.effects import Effects

__all__ = ["FAULT_POINTS", "Standing", "clean_up", "remove", "standing"]

FAULT_POINTS = ("environment.set-aside", "environment.removed")


@dataclass(frozen=True, slots=True)
class Standing:
    """An environment on this machine: what it was asked for, and when it was built and last used.
    `size_bytes` counts files that it shares with the cache of uv, too."""

    name: str
    folder: Path
    packages: tuple[str, ...]
    python: str
    built_at: datetime
    used_at: datetime
    is_used: bool

    @property
    def size_bytes(self) -> int:
        """What its files have; looks at each of them."""
        size = 0
        for file in self.folder.rglob("*"):
            with suppress(FileNotFoundError):
                size += file.lstat().st_size
        return size


def standing(cache: Path) -> Sequence[Standing]:
    """The environments of this machine, the one that was used longest ago first."""
    found = []
    for content in folder_of(cache).glob(f"*/{CONTENT}"):
        if not content.parent.suffix:  # otherwise half made, or half removed
            with suppress(FileNotFoundError):  # removed meanwhile
                found.append(_standing(content))
    return sorted(found, key=lambda each: each.used_at)


def _standing(content: Path) -> Standing:
    said, folder = json.loads(content.read_text()), content.parent
    built_at, used = content.stat().st_mtime, used_file(folder)
    used_at = max(built_at, used.stat().st_mtime if used.exists() else built_at)
    with locked_at_once(used) as is_idle:
        pass
    return Standing(
        name=folder.name,
        folder=folder,
        packages=tuple(said["packages"]),
        python=said["python"],
        built_at=datetime.fromtimestamp(built_at, UTC),
        used_at=datetime.fromtimestamp(used_at, UTC),
        is_used=not is_idle,
    )


def remove(environment: Standing, effects: Effects, unused_since: datetime | None = None) -> bool:
    """Remove one; False when it is used, being built, or was used after `unused_since`. Then it
    is as it was.

    Raises:
        OSError: it cannot be removed, by rights for one; what is left of it is no environment.
    """
    folder = environment.folder
    aside = folder.with_suffix(".removed")
    with locked_at_once(folder.with_suffix(".lock")) as is_mine:
        if not is_mine:
            return False
        with locked_at_once(used_file(folder)) as is_idle:
            used_at = datetime.fromtimestamp(used_file(folder).stat().st_mtime, UTC)
            if not is_idle or (unused_since is not None and used_at > unused_since):
                return False
            if aside.exists():
                shutil.rmtree(aside)
            with suppress(FileNotFoundError):  # removed by another meanwhile
                folder.rename(aside)
                _keep(folder.parent)
        effects.faults.reach("environment.set-aside")
        if aside.exists():
            shutil.rmtree(aside)
    effects.faults.reach("environment.removed")
    return True


def clean_up(cache: Path) -> None:
    """Finish what was broken off: halves that nobody is at work on, and ways to what is gone."""
    home = folder_of(cache)
    for pattern in ("*.partial", "*.removed"):
        for remnant in home.glob(pattern):
            folder = remnant.with_suffix("")
            with locked_at_once(folder.with_suffix(".lock")) as is_mine:
                if is_mine:
                    for each in remnants_of(folder):
                        shutil.rmtree(each, ignore_errors=True)
    for link in home.glob("requests/*"):
        if not link.exists():
            link.unlink(missing_ok=True)


def _keep(folder: Path) -> None:
    """A name that is gone stays gone after a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
