"""The program of a template process and of a task in an interpreter of its own; not for people.

    python -P -m eventflow.cli.template serve <socket>
    python -P -m eventflow.cli.template task <file with instructions> <socket>

It is started by `eventflow.execution.local`; the numbers are file descriptors that it inherits.
"""

from __future__ import annotations

import socket
import sys
from typing import NoReturn

from eventflow import app
from eventflow.execution.task_process import run_in_new_interpreter
from eventflow.execution.template import serve

__all__ = ["main"]


def main(arguments: list[str]) -> NoReturn:
    """Be that process, to its end."""
    match arguments:
        case ["serve", control]:
            serve(socket.socket(fileno=int(control)), app.connect_task)
        case ["task", instructions, report]:
            sender = socket.socket(fileno=int(report))
            run_in_new_interpreter(app.connect_task, int(instructions), sender)
    sys.exit("This program is started by eventflow itself.")


if __name__ == "__main__":
    main(sys.argv[1:])
