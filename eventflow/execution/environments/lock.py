"""The lock of a request: every package with its version and the hashes of its files, decided once.

It stands in the store below its project, and never changes: all runs, on all machines, have the
same versions. It is made for Linux and macOS at once, so that who deploys and who runs need not
have the same machine; or for one of them, when the packages are not to be had for both.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eventflow.errors import EnvironmentUnavailable, InvalidPackages, ObjectMissing
from eventflow.execution.environments.request import Request, own_versions, request_of
from eventflow.execution.environments.uv import run_uv
from eventflow.store.blobs import digest_of
from eventflow.store.deciding import decide, read_json
from eventflow.store.layout import environment_key

if TYPE_CHECKING:
    from eventflow.effects import Effects
    from eventflow.model.graph import FlowGraph
    from eventflow.store.port import Store

__all__ = ["Lock", "lock_of", "lock_steps"]

_PLATFORMS = ("linux", "darwin")


@dataclass(frozen=True, slots=True)
class Lock:
    """A request and the requirements that it came to, as the text of a requirements file;
    `platforms` are those of `sys.platform` that it is for."""

    request: Request
    text: str
    platforms: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Of all that is installed; equal for different requests that came to the same."""
        return digest_of(f"{self.request.python}\n{self.text}".encode())


def lock_of(store: Store, effects: Effects, project: str, request: Request) -> Lock:
    """The lock of a request in a project; made when there is none. Of several that are made at
    once one counts.

    Raises:
        InvalidPackages: there are no such packages, or they do not go together.
        EnvironmentUnavailable: they cannot be looked for here and now.
    """
    key = environment_key(project, request.digest)
    try:
        content = read_json(store, key)
    except ObjectMissing:
        text, platforms = _resolve(request)
        mine = {"request": asdict(request), "lock": text, "platforms": platforms}
        content = decide(store, key, mine, nonce=effects.ids.token()).content
    return Lock(request, str(content["lock"]), tuple(content["platforms"]))


def lock_steps(store: Store, effects: Effects, project: str, graph: FlowGraph) -> None:
    """See to it that the versions of all packages of a flow are decided.

    Raises:
        InvalidPackages, EnvironmentUnavailable: of the first step whose packages cannot be had.
    """
    locked: set[Request] = set()
    for node in graph.steps:
        packages = node.how.packages
        if packages is None or (request := request_of(packages)) in locked:
            continue
        try:
            lock_of(store, effects, project, request)
        except (InvalidPackages, EnvironmentUnavailable) as error:
            place = f"{graph.file}:{node.line}: step {node.name!r}"
            raise type(error)(f"{place}: {error}") from error
        locked.add(request)


def _resolve(request: Request) -> tuple[str, tuple[str, ...]]:
    """The text, and the platforms that it is for: all when that can be."""
    others = tuple(each for each in _PLATFORMS if each != sys.platform)
    refusals: list[InvalidPackages] = []
    for platforms in (_PLATFORMS, (sys.platform,), others):
        try:
            return _compile(request, platforms), platforms
        except InvalidPackages as error:
            refusals.append(error)
    raise refusals[1]  # that of this platform: the one its reader can try out


def _compile(request: Request, platforms: tuple[str, ...]) -> str:
    minor = ".".join(request.python.split(".")[:2])
    markers = [f"sys_platform == '{each}' and python_version == '{minor}'" for each in platforms]
    named = ", ".join(request.requirements) or "that eventflow needs"
    with tempfile.TemporaryDirectory(prefix="eventflow-lock-") as name:
        folder = Path(name)
        folder.joinpath("pyproject.toml").write_text(f"[tool.uv]\nenvironments = {markers}\n")
        wanted = [*request.requirements, *request.own]
        folder.joinpath("requirements.in").write_text("\n".join(wanted) + "\n")
        # What stands in the output already is taken where it fits.
        own = [f"{each}=={version}" for each, version in sorted(own_versions().items())]
        folder.joinpath("lock.txt").write_text("\n".join(own) + "\n")
        run_uv(
            [
                *("pip", "compile", "requirements.in", "--output-file", "lock.txt", "--quiet"),
                *("--universal", "--python-version", request.python, "--generate-hashes"),
                *("--no-header", "--no-annotate", "--no-sources"),
            ],
            folder,
            f"The packages {named} cannot be had",
        )
        return folder.joinpath("lock.txt").read_text()
