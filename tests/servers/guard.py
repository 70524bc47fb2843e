"""Runs one server and never lets it outlive the process that wanted it.

Started as `python guard.py OWNER_PID FOLDER COMMAND…`, with the standard library only.
Guarantees: the server is killed and its folder removed when the owner is gone, however it went
(looked at every 100 ms: a parent that died is no parent any more), and, on Linux, the server is
killed when this guard itself is. The kernel's parent-death signal alone would not do for the
owner: it fires when the *thread* that started the server ends, and a test may restart a server
from a thread.

Prints the server's pid as its first line; the server's own output goes to standard error.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys

_PR_SET_PDEATHSIG = 1
_ASK_SECONDS = 0.1


def die_with_parent() -> None:
    """Asks Linux to kill this process when the one that made it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main(owner: int, folder: str, command: list[str]) -> int:
    """Runs `command` to its end, or to the owner's; the exit status is the command's."""
    # A preexec_fn is safe here: this process has one thread.
    server = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        process_group=0,
        preexec_fn=die_with_parent,  # noqa: PLW1509
    )
    print(server.pid, flush=True)
    while True:
        try:
            return server.wait(_ASK_SECONDS)
        except subprocess.TimeoutExpired:
            if os.getppid() != owner:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait()
                shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2], sys.argv[3:]) & 0xFF)
