"""The program of template processes, their scribes, and tasks in interpreters of their own.

Not for people.

    python -P -m eventflow.cli.template serve <socket>
    python -P -m eventflow.cli.template task <socket>
    python -P -m eventflow.cli.template scribe <socket>

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
        case ["scribe", number]:
            # Here: no task has a use for it, and a task is a copy of what its template has.
            from eventflow.execution.scribe import follow_attempts

            follow_attempts(socket.socket(fileno=int(number)), app.connect_task)
    sys.exit("This program is started by eventflow itself.")


if __name__ == "__main__":
    main(sys.argv[1:])
