"""Sources of small flows that do odd things, and what is read of what they print."""

from __future__ import annotations

import textwrap

__all__ = ["flow", "lines", "one_caught"]

_HEAD = """
import ctypes, os, signal, subprocess, sys, time
from pathlib import Path

from eventflow import FlowSpec, Parameter, catch, current, retry, step, timeout

def block_in_c():
    "Returns to Python never, whatever signal comes that can be ignored."
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    child = subprocess.Popen(["sleep", "600"])
    print("child", child.pid, flush=True)
    libc = ctypes.PyDLL(None)  # holds the lock of the interpreter as well
    libc.sleep(600)

class Matrix(FlowSpec):
    folder = Parameter("folder")

"""
_END = """
    @step
    def end(self):
        pass
"""
_TAIL = """
if __name__ == "__main__":
    Matrix()
"""


def flow(*steps: str) -> str:
    """The source of a flow of these steps, and of an `end` that does nothing if they have none."""
    body = "\n".join(textwrap.indent(textwrap.dedent(each), " " * 4) for each in steps)
    end = "" if "def end(self" in body else _END
    return f"{_HEAD}{body}\n{end}{_TAIL}"


def one_caught(body: str, decorators: str = "@catch(var='caught')") -> str:
    """A flow whose step `odd` does this."""
    return flow(
        """
        @step
        def start(self):
            self.before = "set before"
            self.next(self.odd)
        """,
        f"{decorators}\n@step\ndef odd(self):\n"
        + textwrap.indent(textwrap.dedent(body).strip("\n"), "    ")
        + "\n    self.next(self.end)",
    )


def lines(text: str, word: str) -> list[str]:
    """The lines of tasks that have this word first."""
    return [line for line in text.splitlines() if line.split("] ")[-1].startswith(word)]
