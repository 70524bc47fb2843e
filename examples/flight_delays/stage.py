"""The processes of the demo: the commands that a user would type, on one state folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue
from typing import Any

FOLDER = Path(__file__).parent
PATIENCE_SECONDS = 60
UP = "eventflow is up"


class DemoFailed(Exception):
    """Something that the demo shows is not so; the message says what."""


class Stage:
    """Commands run in the folder of the example; settings come from the environment."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._lines: Queue[tuple[str, dict[str, Any] | int]] = Queue()
        self._environment = {**os.environ, "EVENTFLOW_HOME": str(home)}

    def run(self, *command: str) -> str:
        """What a command prints."""
        return self.finish(self.start(*command), *command)

    def finish(self, child: subprocess.Popen[str], *command: str) -> str:
        """What a command that was started has printed.

        Raises:
            DemoFailed: it has not ended well; what it says about that is on the terminal.
        """
        output, _ = child.communicate()
        if child.returncode != 0:
            raise DemoFailed(f"`{' '.join(command)}` ended with exit code {child.returncode}")
        return output

    def start(self, *command: str, log: Path | None = None) -> subprocess.Popen[str]:
        """A command on its way. Its errors go to the terminal, or all it says to `log`."""
        return subprocess.Popen(
            _arguments(command),
            cwd=FOLDER,
            env=self._environment,
            text=True,
            stdout=log.open("w") if log else subprocess.PIPE,
            stderr=subprocess.STDOUT if log else None,
        )

    @contextmanager
    def up(self) -> Iterator[None]:
        """`eventflow up` for the time of a block; its log is `up.log` in the state folder."""
        self.home.mkdir(parents=True, exist_ok=True)
        log = self.home / "up.log"
        child = self.start("eventflow", "up", "--metrics-port", "0", log=log)
        with _ending(child):
            deadline = time.monotonic() + PATIENCE_SECONDS
            while UP not in log.read_text():
                if child.poll() is not None or time.monotonic() > deadline:
                    raise DemoFailed(f"eventflow up did not come up:\n{log.read_text()}")
                time.sleep(0.05)
            yield
            if child.poll() is not None:
                raise DemoFailed(f"eventflow up ended in the middle:\n{log.read_text()}")

    @contextmanager
    def listening(self, *command: str) -> Iterator[None]:
        """A command with `--json` whose documents `next_line` hands out, one after another."""
        child = self.start(*command, "--json")

        def listen() -> None:
            for line in child.stdout or ():
                self._lines.put((command[1], json.loads(line)))
            self._lines.put((command[1], child.wait()))

        with _ending(child):
            threading.Thread(target=listen, daemon=True).start()
            yield

    def next_line(self) -> tuple[str, dict[str, Any] | None]:
        """The next document and which command said it; None when that command has ended well.

        Raises:
            DemoFailed: it has not ended well, or nothing was said for a minute.
        """
        try:
            command, said = self._lines.get(timeout=PATIENCE_SECONDS)
        except Empty as error:
            raise DemoFailed(f"nothing has happened for {PATIENCE_SECONDS} s") from error
        if isinstance(said, dict):
            return command, said
        if said != 0:
            raise DemoFailed(f"`{command}` ended with exit code {said}")
        return command, None


def _arguments(command: tuple[str, ...]) -> list[str]:
    """`python` is this one, `eventflow` the one installed beside it."""
    programs = {"python": sys.executable}
    beside = Path(sysconfig.get_path("scripts")) / command[0]
    return [programs.get(command[0], str(beside)), *command[1:]]


@contextmanager
def _ending(child: subprocess.Popen[str]) -> Iterator[None]:
    try:
        yield
    finally:
        child.terminate()
        try:
            child.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
