"""`uv`, the installer: where it is, which index it asks, and what its errors mean.

It is asked in a folder of its own, so that no project around it has a say. Which index it uses is
the machine's affair: its own settings, and pip's where it has none.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from eventflow.errors import EnvironmentUnavailable, EventflowError, InvalidPackages

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["find_python", "run_uv"]

_INDEXES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL")
_OWN_WORDS = (*_INDEXES, "UV_FIND_LINKS", "UV_NO_INDEX", "UV_CONFIG_FILE")
_LEFT_OUT = ("VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH")
_PIP_SECTIONS = ("global", "install", ":env:")
_PIP_SETTING = re.compile(r"(?P<section>[^.]+)\.(?P<name>[a-z-]+)=(?P<value>.*)")
_OUTAGES = (
    "connection",
    "dns error",
    "error sending request",
    "failed to fetch",
    "network was disabled",
    "no space left",
    "timed out",
)
_ORNAMENT = re.compile(r"^[^\w`'\"(]*(?:(?:error|cause):\s*)?| for split \(markers: .*\)")
_CREDENTIALS = re.compile(r"//[^/@\s]+@")
_SHOWN_FIRST, _SHOWN_LAST = 3, 5
_LONGEST = 1000


def run_uv(arguments: Sequence[str], folder: Path, what: str) -> str:
    """Run uv in `folder`; what it printed. `what` begins the message of an error.

    Raises:
        InvalidPackages: what was asked for cannot be had.
        EnvironmentUnavailable: there is no uv here, or it cannot reach what it needs.
    """
    command = [_find_uv(), *arguments, "--color", "never", "--no-progress", "--no-python-downloads"]
    done = subprocess.run(
        command,
        cwd=folder,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise _translated(what, done.stderr.strip() or f"uv ended with {done.returncode}")
    return done.stdout.strip()


def find_python(version: str, folder: Path) -> str:
    """The interpreter of that version on this machine; nothing is downloaded.

    Raises:
        EnvironmentUnavailable: there is none.
    """
    own = ".".join(map(str, sys.version_info[:3]))
    if own == version or own.startswith(f"{version}."):
        return sys.executable
    try:
        return run_uv(["python", "find", "--system", "--no-project", version], folder, "uv")
    except InvalidPackages as error:
        raise EnvironmentUnavailable(
            f"There is no Python {version} on this machine, and none is downloaded: install it,"
            " and have it on the PATH."
        ) from error


def _find_uv() -> str:
    with suppress(ImportError, FileNotFoundError):
        return str(import_module("uv").find_uv_bin())
    found = shutil.which("uv")
    if found is None:
        raise EnvironmentUnavailable(
            "Environments of steps are made with uv, and there is none here: pip install"
            " 'eventflow[pypi]'."
        )
    return found


# ── settings of the machine ──────────────────────────────────────────────────


def _environment() -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if name not in _LEFT_OUT}
    for name, value in _taken_from_pip(_pip_settings()).items():
        env.setdefault(name, value)
    return env


def _taken_from_pip(pip: Mapping[str, str]) -> dict[str, str]:
    """In uv's words: certificates always, indexes where uv has no word of its own."""
    words = {"SSL_CERT_FILE": pip.get("cert", "")}
    if not _has_own_words():
        links = [each for each in pip.get("find-links", "").split() if _is_there(each)]
        words |= {
            "UV_DEFAULT_INDEX": pip.get("index-url", ""),
            "UV_INDEX": " ".join(pip.get("extra-index-url", "").split()),
            "UV_FIND_LINKS": ",".join(links),
            "UV_INSECURE_HOST": " ".join(pip.get("trusted-host", "").split()),
        }
    return {name: value for name, value in words.items() if value}


def _has_own_words() -> bool:
    homes = [os.environ.get("XDG_CONFIG_HOME") or "~/.config"]
    homes += [*(os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":"), "/etc"]
    files = [Path(home).expanduser() / "uv" / "uv.toml" for home in homes]
    return any(os.environ.get(name) for name in _OWN_WORDS) or any(map(Path.exists, files))


def _is_there(link: str) -> bool:
    """Folders that are not there are passed over by pip, and not by uv."""
    return "://" in link or Path(link).expanduser().exists()


@cache
def _pip_settings() -> dict[str, str]:
    """From pip's files and its environment; the latter alone where no pip is installed."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if listed.returncode:
        prefix = "PIP_"
        return {
            name.removeprefix(prefix).lower().replace("_", "-"): value
            for name, value in os.environ.items()
            if name.startswith(prefix)
        }
    return dict(_read_settings(listed.stdout))


def _read_settings(listed: str) -> Iterator[tuple[str, str]]:
    found = [match for line in listed.splitlines() if (match := _PIP_SETTING.fullmatch(line))]
    for section in _PIP_SECTIONS:
        for match in found:
            if match["section"] == section:
                with suppress(ValueError, SyntaxError):
                    yield match["name"], str(ast.literal_eval(match["value"]))


# ── errors ───────────────────────────────────────────────────────────────────


def _translated(what: str, said: str) -> EventflowError:
    message = f"{what}: {_meaningful(said)}"
    is_outage = any(each in said.lower() for each in _OUTAGES)
    return EnvironmentUnavailable(message) if is_outage else InvalidPackages(message)


def _meaningful(said: str) -> str:
    """The lines that say something, in one; of many the first, which say what, and the last."""
    lines = [_ORNAMENT.sub("", line).strip() for line in said.splitlines()]
    lines = [line for line in lines if line]
    if len(lines) > _SHOWN_FIRST + _SHOWN_LAST:
        lines = [*lines[:_SHOWN_FIRST], "…", *lines[-_SHOWN_LAST:]]
    return _CREDENTIALS.sub("//", " ".join(lines))[:_LONGEST]
