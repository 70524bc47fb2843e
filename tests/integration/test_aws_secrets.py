"""Secrets of AWS Secrets Manager, from a small server on loopback that speaks its protocol."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from eventflow.authoring.secret_source import SecretSource
from eventflow.errors import InvalidSecret
from eventflow.execution.secrets.aws import read_aws

VALUE = "hunter22-is-long"
SECRETS: dict[str, dict[str, Any]] = {
    "prod/db": {"SecretString": json.dumps({"db-password": VALUE, "db.port": 5432})},
    "token": {"SecretString": VALUE},
    "blob": {"SecretBinary": base64.b64encode(b"\x00\x01").decode()},
    "twice": {"SecretString": json.dumps({"a-b": VALUE, "a.b": VALUE})},
}
STS = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
<Credentials><AccessKeyId>ASSUMED</AccessKeyId><SecretAccessKey>s</SecretAccessKey>
<SessionToken>t</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration></Credentials>
</AssumeRoleResult></AssumeRoleResponse>"""


class Amazon(ThreadingHTTPServer):
    """The server; `asked` has who asked for what."""

    asked: list[tuple[str, str]]


class _Handler(BaseHTTPRequestHandler):
    server: Amazon

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        key = self.headers["Authorization"].partition("Credential=")[2].partition("/")[0]
        if self.headers.get("X-Amz-Target") != "secretsmanager.GetSecretValue":
            self._answer(200, STS)
            return
        name = json.loads(body)["SecretId"]
        self.server.asked.append((key, name))
        if name not in SECRETS:
            said = {"__type": "ResourceNotFoundException", "Message": "cannot find it"}
            self._answer(400, json.dumps(said))
            return
        self._answer(200, json.dumps({"ARN": f"arn:{name}", "Name": name, **SECRETS[name]}))

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def amazon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Amazon]:
    """The server, where boto3 finds it."""
    server = Amazon(("127.0.0.1", 0), _Handler)
    server.asked = []
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    for service in ("SECRETS_MANAGER", "STS"):
        monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "OWN")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "own")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def read(name: str, *, role: str | None = None, **options: Any) -> dict[str, str]:
    """What the secret of that name has."""
    return read_aws(SecretSource("aws-secrets-manager", name, options, role))


def test_an_object_gives_a_variable_for_each_key(amazon: Amazon) -> None:
    assert read("prod/db") == {"db_password": VALUE, "db_port": "5432"}
    assert amazon.asked == [("OWN", "prod/db")]


@pytest.mark.usefixtures("amazon")
def test_text_and_bytes_are_one_variable() -> None:
    assert read("token", json=False) == {"token": VALUE}
    assert read("token", json=False, env_var_name="TOKEN") == {"TOKEN": VALUE}
    assert read("blob", env_var_name="BLOB") == {"BLOB": "AAE="}


def test_a_role_is_assumed_first(amazon: Amazon) -> None:
    read("prod/db", role="arn:aws:iam::1:role/reader")

    assert amazon.asked == [("ASSUMED", "prod/db")]


@pytest.mark.usefixtures("amazon")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none", "does not give the secret aws-secrets-manager.none: ResourceNotFoundException"),
        ("token", "aws-secrets-manager.token is no JSON object"),
        ("twice", "has two keys that become a_b"),
    ],
)
def test_what_is_wrong_is_said_without_the_value(name: str, message: str) -> None:
    with pytest.raises(InvalidSecret, match=message) as caught:
        read(name)

    assert VALUE not in str(caught.value)


def test_a_server_that_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "OWN")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "own")

    with pytest.raises(InvalidSecret, match="cannot be asked for: Could not connect"):
        read("token", region="eu-north-1")
