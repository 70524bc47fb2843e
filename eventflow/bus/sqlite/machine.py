"""What the embedded bus has to know of the machine: which boot this is, what the disk is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["boot_id", "network_file_system"]

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_MOUNTS = Path("/proc/mounts")
# File systems on which neither the locks nor the shared memory of SQLite's WAL are reliable.
_REMOTE = frozenset(
    {"afs", "beegfs", "ceph", "cifs", "gfs2", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2"}
    | {"smb2", "smb3", "smbfs", "fuse.ceph", "fuse.glusterfs", "fuse.gcsfuse", "fuse.rclone"}
    | {"fuse.s3fs", "fuse.sshfs", "fuse.juicefs", "fuse.mount-s3"}
)


def boot_id() -> str:
    """Differs from boot to boot: readings of the boot-time clock compare within one boot only."""
    if sys.platform == "darwin":
        command = ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    return _BOOT_ID.read_text().strip()


def network_file_system(folder: Path) -> str | None:
    """The type of the file system that holds `folder`, if it is a network one.

    None also where the mounts cannot be listed (no /proc).
    """
    if not _MOUNTS.exists():
        return None
    kind = mounted_kind(folder.resolve(), _MOUNTS.read_text().splitlines())
    return kind if kind in _REMOTE else None


def mounted_kind(folder: Path, mounts: Iterable[str]) -> str | None:
    """The file system type of the innermost mount around `folder` (lines as of proc(5) mounts)."""
    best, kind = -1, None
    for line in mounts:
        _, point, mounted, *_ = line.split(" ")
        place = Path(_unescape(point))
        # A later mount on the same point hides an earlier one.
        if (place == folder or place in folder.parents) and len(place.parts) >= best:
            best, kind = len(place.parts), mounted
    return kind


def _unescape(field: str) -> str:
    """Blanks and backslashes stand as octal escapes in the table of mounts."""
    for code, character in (("040", " "), ("011", "\t"), ("012", "\n"), ("134", "\\")):
        field = field.replace(f"\\{code}", character)
    return field
