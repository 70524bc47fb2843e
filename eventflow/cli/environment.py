"""The program that builds the environment of a step; not for people.

    python -P -m eventflow.cli.environment <socket>

It is started by `eventflow.execution`; the number is a file descriptor that it inherits.
"""

from __future__ import annotations

import socket
import sys
from typing import NoReturn

from eventflow import app
from eventflow.execution.environments.builder import build_as_ordered

__all__ = ["main"]


def main(arguments: list[str]) -> NoReturn:
    """Be that process, to its end."""
    match arguments:
        case [number]:
            build_as_ordered(socket.socket(fileno=int(number)), app.connect_task)
    sys.exit("This program is started by eventflow itself.")


if __name__ == "__main__":
    main(sys.argv[1:])
