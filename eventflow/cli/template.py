"""The program of a template process and of a task in an interpreter of its own; not for people.

    python -P -m eventflow.cli.template serve <socket>
    python -P -m eventflow.cli.template task <socket>

It is started by `eventflow.execution`; the number is a file descriptor that it inherits.
"""

from __future__ import annotations

import socket
import sys
from typing import NoReturn

from eventflow import app
from eventflow.execution.task_process import live_in_new_interpreter
from eventflow.execution.template import serve

__all__ = ["main"]


def main(arguments: list[str]) -> NoReturn:
    """Be that process, to its end."""
    match arguments:
        case ["serve", number]:
            serve(socket.socket(fileno=int(number)), app.connect_task, app.expect_publishing)
        case ["task", number]:
            live_in_new_interpreter(app.connect_task, socket.socket(fileno=int(number)))
    sys.exit("This program is started by eventflow itself.")


if __name__ == "__main__":
    main(sys.argv[1:])
