"""Secrets in AWS Secrets Manager: `aws-secrets-manager.prod/db`.

A secret that is a JSON object gives a variable for each key; `json=False` takes its text, or its
bytes in base64, as one variable. `-`, `.` and `/` in a name become `_`. Credentials, region and
endpoint come from where boto3 looks for them; `role` is assumed first.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from eventflow.errors import InvalidSecret
from eventflow.execution.secrets.file import text_of_json

if TYPE_CHECKING:
    from eventflow.authoring.secret_source import SecretSource

__all__ = ["read_aws"]

_ARN = re.compile(r"arn:[\w-]+:secretsmanager:([\w-]+):")
_PATIENCE = Config(
    connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 4}
)


def read_aws(source: SecretSource) -> dict[str, str]:
    """What the secret has, by name.

    Raises:
        InvalidSecret: there is none, it is refused, or it is no JSON object.
    """
    try:
        answer = _client(source).get_secret_value(SecretId=source.id)
    except ClientError as error:
        said = error.response.get("Error", {})
        reason = f"{said.get('Code', 'an error')}: {said.get('Message', '')}".rstrip(": .")
        raise InvalidSecret(f"AWS does not give the secret {source}: {reason}.") from error
    except BotoCoreError as error:
        raise InvalidSecret(f"The secret {source} cannot be asked for: {error}") from error
    return _values(source, answer)


def _client(source: SecretSource) -> Any:
    arn = _ARN.match(source.id)
    region = arn[1] if arn else source.options.get("region")
    credentials = {}
    session = boto3.session.Session()  # the default one keeps what it found when it was first used
    if source.role is not None:
        sts: Any = session.client("sts", region_name=region, config=_PATIENCE)
        assumed = sts.assume_role(RoleArn=source.role, RoleSessionName="eventflow")["Credentials"]
        credentials = {
            "aws_access_key_id": assumed["AccessKeyId"],
            "aws_secret_access_key": assumed["SecretAccessKey"],
            "aws_session_token": assumed["SessionToken"],
        }
    return session.client("secretsmanager", region_name=region, config=_PATIENCE, **credentials)


def _values(source: SecretSource, answer: dict[str, Any]) -> dict[str, str]:
    name = _variable(source.options.get("env_var_name") or answer.get("Name", source.id))
    if "SecretString" not in answer:
        return {name: base64.b64encode(answer.get("SecretBinary", b"")).decode()}
    text = answer["SecretString"]
    if not source.options.get("json", True):
        return {name: text}
    try:
        content = json.loads(text)
    except json.JSONDecodeError:
        content = None
    if not isinstance(content, dict):
        raise InvalidSecret(
            f"The secret {source} is no JSON object: take it as one variable with"
            " options={'json': False, 'env_var_name': '…'}."
        )
    values: dict[str, str] = {}
    for key, value in content.items():
        if _variable(key) in values:
            raise InvalidSecret(f"The secret {source} has two keys that become {_variable(key)}.")
        values[_variable(key)] = text_of_json(value)
    return values


def _variable(key: str) -> str:
    return re.sub(r"[-./]", "_", key)
