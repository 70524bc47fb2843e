"""Who uses an environment: shared locks on `<name>.used`, whose time says when it was used last.

A lock goes with the last process that has it: a template inherits it, and so do its tasks. Who
removes an environment needs the lock alone.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

__all__ = ["hold", "used_file"]


def used_file(folder: Path) -> Path:
    """The file that is locked by who uses the environment in `folder`."""
    return folder.with_suffix(".used")


def hold(folder: Path) -> int | None:
    """The descriptor of a file that keeps an environment in its place while it is open, in any
    process. None when there is no such environment (any more). Never waits."""
    try:
        descriptor = os.open(used_file(folder), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except FileNotFoundError:  # the whole cache is gone
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:  # it is being removed
        os.close(descriptor)
        return None
    if not (folder / "bin" / "python").exists():
        os.close(descriptor)
        return None
    os.utime(descriptor)
    return descriptor
