"""One real S3 server (versitygw over a temporary folder) on a free loopback port.

Guarantees, besides those of `LocalServer`: conditional puts have one winner; after a restart the
keys that open it are the same. Every server makes up its own keys.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.servers.local_server import LocalServer
from tests.servers.processes import free_port

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


class S3Server(S3Endpoint, LocalServer):
    """An S3 server of this test session, from the binary that `make servers` made."""

    name = "S3"

    def __init__(self, binary: Path, *, versioning: bool = False) -> None:
        LocalServer.__init__(self)
        self._port = free_port()
        S3Endpoint.__init__(
            self,
            f"http://127.0.0.1:{self._port}",
            f"test-{secrets.token_hex(8)}",
            secrets.token_hex(20),
        )
        self._binary = binary
        self._versioning = versioning

    def _prepare(self, folder: Path) -> None:
        (folder / "objects").mkdir()
        (folder / "versions").mkdir()

    def _env(self) -> Mapping[str, str]:
        return {"ROOT_ACCESS_KEY": self.access_key, "ROOT_SECRET_KEY": self.secret_key}

    def _command(self, folder: Path) -> list[str]:
        listen = ["--port", f"127.0.0.1:{self._port}", "--region", self.region]
        versions = ["--versioning-dir", str(folder / "versions")] if self._versioning else []
        # Without --keep-alive each request is a connection of its own.
        return [
            *(str(self._binary), *listen, "--keep-alive", "--quiet"),
            *("posix", *versions, str(folder / "objects")),
        ]
