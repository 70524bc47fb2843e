"""One real S3 server (versitygw over a temporary folder) on a free loopback port.

Guarantees: a started server answers signed requests; conditional puts have one winner; after
`kill` and `restart` it is on the same port with the same keys and the objects it had
acknowledged; `stop` leaves neither process nor data behind. Every server makes up its own keys.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.servers.processes import ServerProcess, free_port

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_REGION = "us-east-1"


class S3Endpoint:
    """Where an S3 server is and what opens it, whoever runs it."""

    def __init__(
        self, endpoint_url: str, access_key: str, secret_key: str, region: str = _REGION
    ) -> None:
        self.endpoint_url = endpoint_url
        self.access_key = access_key
        self.secret_key = secret_key
        self.region = region

    def client(self) -> S3Client:
        """A new plain boto3 client that gives up soon."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            config=Config(
                connect_timeout=2,
                read_timeout=10,
                retries={"total_max_attempts": 1, "mode": "standard"},
                s3={"addressing_style": "path"},
            ),
        )

    def create_bucket(self, name: str) -> None:
        """A new empty bucket; names have three letters or more."""
        self.client().create_bucket(Bucket=name)

    def answers(self) -> bool:
        """Whether the server is there and lets these keys in."""
        try:
            self.client().list_buckets()
        except (BotoCoreError, ClientError):
            return False
        return True


class S3Server(S3Endpoint):
    """An S3 server of this test session, from the binary that `make servers` made."""

    def __init__(self, binary: Path, *, versioning: bool = False) -> None:
        self._port = free_port()
        super().__init__(
            f"http://127.0.0.1:{self._port}", f"test-{secrets.token_hex(8)}", secrets.token_hex(20)
        )
        self._binary = binary
        self._versioning = versioning
        self.folder: Path | None = None
        self._process: ServerProcess | None = None

    @property
    def pid(self) -> int:
        """The server's process; only while it runs."""
        return self._running().pid

    def start(self) -> None:
        """A new server without buckets, ready when this returns."""
        self.folder = Path(tempfile.mkdtemp(prefix="eventflow-s3-"))
        (self.folder / "objects").mkdir()
        (self.folder / "versions").mkdir()
        self.restart()

    def kill(self) -> None:
        """The server's machine burns down (SIGKILL); the disk is saved."""
        self._running().kill()
        self._process = None

    def restart(self) -> None:
        """The server again, after `kill`, on the same port, keys and data; ready on return."""
        assert self.folder is not None, "start() comes first"
        assert self._process is None, "still running"
        self._process = ServerProcess(
            "versitygw",
            self._command(self.folder),
            self.folder,
            env={"ROOT_ACCESS_KEY": self.access_key, "ROOT_SECRET_KEY": self.secret_key},
        )
        self._process.wait_until(self.answers)

    def pause(self) -> None:
        """The server hangs (SIGSTOP): connections stay open, nothing is answered."""
        self._running().pause()

    def resume(self) -> None:
        """A paused server goes on."""
        self._running().resume()

    def stop(self) -> None:
        """Ends the server and removes its data."""
        if self._process is not None:
            self.kill()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None

    def _running(self) -> ServerProcess:
        assert self._process is not None, "not running"
        return self._process

    def _command(self, folder: Path) -> list[str]:
        listen = ["--port", f"127.0.0.1:{self._port}", "--region", self.region]
        versions = ["--versioning-dir", str(folder / "versions")] if self._versioning else []
        # Without --keep-alive each request is a connection of its own.
        return [
            *(str(self._binary), *listen, "--keep-alive", "--quiet"),
            *("posix", *versions, str(folder / "objects")),
        ]
