"""Fetches the servers that the tests run into a cache outside the tree: `make servers`.

Kafka comes as Maven artifacts, versitygw (S3 over a folder) as a Go module. Guarantees: what is
in the cache is whole (made at the side and renamed into place) and is what was asked for (the
registries' checksums, and the digests pinned here); several processes may provision at once;
what is there already is not fetched again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_POM = Path(__file__).with_name("kafka-pom.xml")
_KAFKA_VERSION = "4.4.0"
_KAFKA_JAR = f"kafka_2.13-{_KAFKA_VERSION}.jar"
_KAFKA_JAR_SHA256 = "76d3314f873571677ff98620ab9a431e508e3687f921a3df4f70d692a970475e"
_S3_MODULE = "github.com/versity/versitygw"
_S3_VERSION = "v1.8.0"
_S3_MODULE_SUM = "h1:au+wI+aybno/STsQiSm35Uu6Q6iK5MWReQxgO6SEMFc="


class ProvisioningFailed(Exception):
    """A server could not be fetched, or is not what was asked for."""


def cache_folder() -> Path:
    """Where servers are kept: EVENTFLOW_TEST_CACHE, or ~/.cache/eventflow/servers."""
    chosen = os.environ.get("EVENTFLOW_TEST_CACHE")
    return Path(chosen) if chosen else Path.home() / ".cache" / "eventflow" / "servers"


def kafka_folder() -> Path:
    """The folder of Kafka's jars; another pom is another folder."""
    pom_digest = hashlib.sha256(_POM.read_bytes()).hexdigest()[:8]
    return cache_folder() / f"kafka-{_KAFKA_VERSION}-{pom_digest}"


def s3_folder() -> Path:
    """The folder of the versitygw binary."""
    return cache_folder() / f"versitygw-{_S3_VERSION}"


@contextmanager
def _locked(cache: Path) -> Iterator[None]:
    """One provisioner at a time; the lock ends with its process."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _provide(folder: Path, fetch: Callable[[Path], None]) -> None:
    """Has `fetch` fill a folder beside `folder`, and renames it when all of it is there."""
    if folder.exists():
        print(f"{folder.name}: there already")
        return
    print(f"{folder.name}: fetching", flush=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetching-") as scratch:
        made = Path(scratch) / folder.name
        made.mkdir()
        fetch(made)
        made.rename(folder)
    print(f"{folder.name}: ready")


def _run(command: list[str], env: dict[str, str] | None = None) -> str:
    if shutil.which(command[0]) is None:
        raise ProvisioningFailed(f"there is no {command[0]} on this machine")
    done = subprocess.run(
        command,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **(env or {})},
    )
    if done.returncode:
        raise ProvisioningFailed(f"{' '.join(command)}\n{done.stdout[-2000:]}")
    return done.stdout


def _fetch_kafka(folder: Path) -> None:
    _run(
        [
            *("mvn", "--quiet", "--batch-mode", "--strict-checksums", "--file", str(_POM)),
            *("dependency:copy-dependencies", "-DincludeScope=runtime"),
            f"-DoutputDirectory={folder}",
        ]
    )
    digest = hashlib.sha256((folder / _KAFKA_JAR).read_bytes()).hexdigest()
    if digest != _KAFKA_JAR_SHA256:
        raise ProvisioningFailed(f"{_KAFKA_JAR} has the SHA-256 {digest}, not the one pinned")


def _fetch_s3(folder: Path) -> None:
    _run(
        ["go", "install", f"{_S3_MODULE}/cmd/versitygw@{_S3_VERSION}"],
        env={"GOBIN": str(folder), "CGO_ENABLED": "0"},
    )
    built_from = _run(["go", "version", "-m", str(folder / "versitygw")]).split()
    if _S3_MODULE_SUM not in built_from:
        raise ProvisioningFailed(f"versitygw was not built from {_S3_VERSION} as pinned")


def main() -> int:
    """Fetches what is missing; exit status 1, and the reason, when something cannot be had."""
    failed = False
    with _locked(cache_folder()):
        for folder, fetch in ((kafka_folder(), _fetch_kafka), (s3_folder(), _fetch_s3)):
            try:
                _provide(folder, fetch)
            except ProvisioningFailed as error:
                print(f"{folder.name}: {error}", file=sys.stderr)
                failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
