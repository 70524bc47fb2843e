"""Plays the code of a document, as its reader would, in an empty folder.

    ```python      a program of its own; one that begins with `# name.py` is saved instead
    ```sh          a script; `eventflow up` alone goes on until the end of the story
    ```console     commands after `$`, and below each what it prints: lines in their order,
                   perhaps with others between them; `…` stands for anything

What asks for something that takes a moment (`eventflow runs` and others) is asked again.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.docs.documents import Block
from tests.support.cluster import Cluster
from tests.support.eventually import eventually

__all__ = ["Story"]

_FILE = re.compile(r"# (\w+\.py)\n")
_QUESTIONS = ("runs", "tail", "dead-letters", "lineage", "deployments list", "deployments show")
_PATIENCE = 60.0
_UP = "eventflow is up"


@dataclass
class Story:
    """The state of the reader's folder and terminal."""

    folder: Path
    cluster: Cluster

    def play(self, block: Block) -> None:
        """Do what a block says; AssertionError with its place when it does not do it."""
        match block.language:
            case "python":
                self._python(block)
            case "sh" | "bash" | "shell":
                self._script(block)
            case "console":
                for command, expected in _commands(block.text):
                    self._command(block, command, expected)

    def _python(self, block: Block) -> None:
        name = _FILE.match(block.text)
        if name:
            (self.folder / name[1]).write_text(block.text, encoding="utf-8")
        else:
            self._run(block, [sys.executable, "-W", "error", "-c", block.text])

    def _script(self, block: Block) -> None:
        if block.text.strip() == "eventflow up":
            process = self.cluster.start("up")
            process.wait_until(lambda: _UP in self.cluster.logs())
        else:
            self._run(block, ["bash", "-euo", "pipefail", "-c", block.text])

    def _command(self, block: Block, command: str, expected: list[str]) -> None:
        if not command.startswith(tuple(f"eventflow {each}" for each in _QUESTIONS)):
            said = self._run(block, ["bash", "-c", command])
            assert _fits(said, expected), f"{block}: `{command}` printed\n{said}"
            return

        def answer() -> bool:
            said = self._run(block, ["bash", "-c", command])
            assert _fits(said, expected), f"{block}: `{command}` printed\n{said}"
            return True

        eventually(answer, _PATIENCE, f"{block}: `{command}` does not print what is written")

    def _run(self, block: Block, command: list[str]) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, **self.cluster.env},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        said = f"{done.stdout}{done.stderr}"
        assert done.returncode == 0, (
            f"{block}: {command[-1]}\nended with {done.returncode}:\n{said}"
        )
        return done.stdout


def _commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each command of a console, with the lines below it."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, *expected = part.splitlines()
        yield command, [line for line in expected if line.strip()]


def _fits(said: str, expected: list[str]) -> bool:
    """Whether the expected lines come in their order."""
    lines = iter([" ".join(line.split()) for line in said.splitlines()])
    return all(any(_pattern(each).fullmatch(line) for line in lines) for each in expected)


def _pattern(expected: str) -> re.Pattern[str]:
    parts = " ".join(expected.split()).split("…")
    return re.compile(".*".join(map(re.escape, parts)))
