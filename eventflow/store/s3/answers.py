"""What a request that failed means: whether to repeat it, and as which error of eventflow."""

from __future__ import annotations

from dataclasses import dataclass

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    LoginError,
    NoAuthTokenError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
    SSLError,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as NoConnection

from eventflow.errors import (
    BucketMissing,
    EventflowError,
    InvalidName,
    InvalidSettings,
    ObjectMissing,
    StoreForbidden,
    StoreUnreachable,
    StoreUnsuitable,
)

__all__ = ["MOST_ATTEMPTS", "Place", "Taken", "UploadGone", "attempts"]

MOST_ATTEMPTS = 6
_ATTEMPTS_READING = 2
_ATTEMPTS_CONNECTING = 2

_UNDECIDED = {"ConditionalRequestConflict", "OperationAborted"}
_BUSY = {"SlowDown", "RequestTimeout", "TooManyRequests", "Throttling", "ThrottlingException"}
# Also with other statuses than 403; versitygw calls an unknown user XAdminUserNotFound, with 404.
_DENIED = {
    "AccessDenied",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "XAdminUserNotFound",
}
_ELSEWHERE = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraint"}
_NO_CREDENTIALS = (
    CredentialRetrievalError,
    LoginError,
    NoAuthTokenError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)
_NO_ANSWER = (HTTPClientError, IncompleteReadError, NoConnection)


class Taken(EventflowError):
    """412: an object of that key stands already."""


class UploadGone(EventflowError):
    """The multipart upload is over: completed by a call whose answer was lost, or aborted."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request went, for what is said of it."""

    url: str
    bucket: str
    endpoint_url: str | None
    other_bucket: str = "set EVENTFLOW_STORE__URL"

    def error(self, error: BotoCoreError | ClientError, key: str) -> EventflowError:
        """What it means for a request about `key`, or about the bucket when that is empty."""
        place = f"{self.url}/{key}" if key else self.url
        if isinstance(error, ClientError):
            return self._of_answer(error, place)
        if isinstance(error, _NO_CREDENTIALS):
            return _forbidden(place, str(error))
        if isinstance(error, _NO_ANSWER):
            where = self.endpoint_url or "S3"
            return StoreUnreachable(
                f"{place}: {where} does not answer ({error}). Check the network, and"
                " EVENTFLOW_STORE__ENDPOINT_URL."
            )
        return InvalidSettings(f"{place}: the store cannot be used with its settings: {error}")

    def _of_answer(self, error: ClientError, place: str) -> EventflowError:
        code, status = _code(error), _status(error)
        message = f"{code}: {error.response.get('Error', {}).get('Message', '')}"
        if status == 412 or code == "PreconditionFailed":
            return Taken(place)
        if code == "NoSuchBucket":
            return BucketMissing(
                f"The bucket {self.bucket!r} does not exist: make it, or {self.other_bucket}."
            )
        if code == "NoSuchUpload":
            return UploadGone(place)
        if code in {"NoSuchKey", "NotFound", "404"}:
            return ObjectMissing(f"{place} does not exist.")
        return _refusal(code, status, place, message)


def attempts(error: BotoCoreError | ClientError) -> int:
    """How often a call is made that ends so."""
    if isinstance(error, ClientError):
        code, status = _code(error), _status(error)
        is_passing = code in _UNDECIDED | _BUSY or status == 429 or status in {500, 502, 503, 504}
        return MOST_ATTEMPTS if is_passing else 1
    if isinstance(error, ReadTimeoutError):
        return _ATTEMPTS_READING
    if isinstance(error, ConnectTimeoutError):
        return _ATTEMPTS_CONNECTING
    return MOST_ATTEMPTS if isinstance(error, _NO_ANSWER) and not isinstance(error, SSLError) else 1


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _refusal(code: str, status: int, place: str, message: str) -> EventflowError:
    if status in {401, 403} or code in _DENIED:
        return _forbidden(place, message)
    if code in _ELSEWHERE or status in {301, 307}:
        return InvalidSettings(
            f"{place}: the bucket is in another region ({message}). Set EVENTFLOW_STORE__REGION."
        )
    if status == 501:
        return StoreUnsuitable(f"{place}: the server cannot do what eventflow needs ({message}).")
    if code == "KeyTooLongError":
        return InvalidName(f"{place}: {message}. Use shorter names.")
    return StoreUnreachable(f"{place}: the server does not serve the request ({message}).")


def _forbidden(place: str, message: str) -> StoreForbidden:
    return StoreForbidden(
        f"{place}: refused ({message}). Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or"
        " AWS_PROFILE, to credentials that may s3:GetObject, s3:PutObject, s3:DeleteObject and"
        " s3:ListBucket there."
    )
