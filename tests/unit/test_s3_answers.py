"""What S3Store makes of answers that no test server gives: one scripted server, any answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import pytest

from eventflow.errors import (
    EventflowError,
    InvalidName,
    InvalidSettings,
    ObjectMissing,
    StoreForbidden,
    StoreUnreachable,
    StoreUnsuitable,
)
from eventflow.settings import StoreSettings
from eventflow.store.port import Store
from eventflow.store.s3 import S3Store, connection

OK = (200, "")
NEVER = 0  # as a status: no answer


@dataclass
class Script:
    """Answers one after the other, the last one for ever: a status, and a body or an error code.

    `requests` are the methods of those that came.
    """

    answers: list[tuple[int, str]] = field(default_factory=lambda: [OK])
    requests: list[str] = field(default_factory=list)
    endpoint_url: str = ""
    is_over: Event = field(default_factory=Event)

    def take(self, request: str) -> tuple[int, str]:
        self.requests.append(request)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def _handler(script: Script) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, body = script.take(self.command)
            if status == NEVER:
                script.is_over.wait()
                return
            if body and not body.startswith("<"):
                body = f"<Error><Code>{body}</Code><Message>why</Message></Error>"
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", '"etag"')
            self.send_header("Last-Modified", "Sat, 31 Jan 2026 00:00:00 GMT")
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815 - as it calls them

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    script = Script()
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(script)) as server:
        script.endpoint_url = f"http://127.0.0.1:{server.server_port}"
        Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield script
        script.is_over.set()
        server.shutdown()


@pytest.fixture
def store(script: Script) -> Store:
    endpoint_url = script.endpoint_url
    return S3Store(StoreSettings(url="s3://bucket", endpoint_url=endpoint_url, region="eu-west-1"))


@pytest.mark.parametrize("size", [2**20, 20 * 2**20])
def test_a_large_object_that_stands_is_not_sent(script: Script, store: Store, size: int) -> None:
    script.answers = [OK]

    store.put("one", bytes(size))
    store.put_all([("two", bytes(size)), ("three", bytes(size))])

    assert script.requests == ["HEAD"] * 3


def test_a_large_object_that_is_absent_is_sent(script: Script, store: Store) -> None:
    script.answers = [(404, ""), OK]

    store.put("key", bytes(2**20))

    assert script.requests == ["HEAD", "PUT"]


BEGUN = (
    200,
    "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>",
)


def test_a_server_that_takes_long_to_put_parts_together_is_waited_for_and_told_once(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_READ_SECONDS", 0.5)
    store = S3Store(
        StoreSettings(url="s3://bucket", endpoint_url=script.endpoint_url, region="eu-west-1")
    )
    absent, parts = (404, ""), [OK] * 3
    script.answers = [absent, BEGUN, *parts, (NEVER, ""), absent, absent, OK]

    is_mine = store.put_if_absent("key", bytes(20 * 2**20))

    assert not is_mine  # nobody said so
    assert script.requests == ["HEAD", "POST", *["PUT"] * 3, "POST", *["HEAD"] * 3]


def test_a_small_object_is_sent_without_a_question(script: Script, store: Store) -> None:
    store.put("key", bytes(2**20 - 1))

    assert script.requests == ["PUT"]


def test_a_conflict_of_writers_is_tried_again(script: Script, store: Store) -> None:
    script.answers = [(409, "ConditionalRequestConflict"), (409, "OperationAborted"), OK]

    assert store.put_if_absent("key", b"")

    assert script.requests == ["PUT"] * 3


def test_a_conflict_that_another_writer_won_reads_as_taken(script: Script, store: Store) -> None:
    script.answers = [(409, "ConditionalRequestConflict"), (412, "PreconditionFailed")]

    assert not store.put_if_absent("key", b"")


@pytest.mark.parametrize(
    ("status", "code"), [(503, "SlowDown"), (500, "InternalError"), (429, "TooManyRequests")]
)
def test_a_busy_server_is_asked_again(script: Script, store: Store, status: int, code: str) -> None:
    script.answers = [(status, code), (status, code), OK]

    store.put("key", b"")

    assert script.requests == ["PUT"] * 3


def test_a_server_that_stays_busy_is_unreachable(script: Script, store: Store) -> None:
    script.answers = [(503, "SlowDown")]

    with pytest.raises(StoreUnreachable, match="SlowDown"):
        store.put("key", b"")

    assert script.requests == ["PUT"] * 6


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (403, "AccessDenied", StoreForbidden),
        (403, "SignatureDoesNotMatch", StoreForbidden),
        (401, "Unauthorized", StoreForbidden),
        (400, "ExpiredToken", StoreForbidden),
        (400, "AuthorizationHeaderMalformed", InvalidSettings),
        (400, "KeyTooLongError", InvalidName),
        (404, "NoSuchKey", ObjectMissing),
        (418, "Teapot", StoreUnreachable),
        (501, "NotImplemented", StoreUnsuitable),
    ],
)
def test_an_answer_that_will_not_change_is_an_error_at_once(
    script: Script, store: Store, status: int, code: str, expected: type[EventflowError]
) -> None:
    script.answers = [(status, code)]

    with pytest.raises(expected):
        store.put("key", b"")

    assert script.requests == ["PUT"]


def test_a_refused_delete_of_one_of_many_is_an_error(script: Script, store: Store) -> None:
    script.answers = [(403, "AccessDenied")]

    with pytest.raises(StoreForbidden):
        store.delete(["a", "b"])


LISTING = """<ListBucketResult>
  <Contents><Key>x/a/</Key><Size>0</Size><LastModified>2026-01-02T03:04:05Z</LastModified></Contents>
  <Contents><Key>x/a/b</Key><Size>1</Size><LastModified>2026-01-02T03:04:05Z</LastModified></Contents>
  <Contents><Key>x/a/d</Key><Size>1</Size><LastModified>2026-01-02T03:04:05Z</LastModified></Contents>
  <CommonPrefixes><Prefix>x/a/a/</Prefix></CommonPrefixes>
  <CommonPrefixes><Prefix>x/a/c/</Prefix></CommonPrefixes>
  <IsTruncated>false</IsTruncated>
</ListBucketResult>"""


def listed_after(script: Script, after: str) -> list[str]:
    script.answers = [(200, LISTING)]
    settings = StoreSettings(url="s3://bucket/x", endpoint_url=script.endpoint_url, region="r-1")
    return [each.key for each in S3Store(settings).list("a/", folders=True, after=after)]


def test_objects_and_folders_of_an_answer_are_listed_in_one_order(script: Script) -> None:
    # Nor is the empty object listed with which consoles show a folder.
    assert listed_after(script, "") == ["a/a/", "a/b", "a/c/", "a/d"]


def test_what_a_server_repeats_of_the_page_before_is_left_out(script: Script) -> None:
    assert listed_after(script, "a/a/x") == ["a/b", "a/c/", "a/d"]
    assert listed_after(script, "a/c/") == ["a/d"]
