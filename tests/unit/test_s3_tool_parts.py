"""What the S3 data tool makes of answers, ranges and metadata, without a real server."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from eventflow.datatools.objects import S3GetObject
from eventflow.datatools.told import byte_range_of, metadata_of
from eventflow.errors import InvalidS3Request, StoreUnreachable
from eventflow.settings import StoreSettings
from eventflow.store.s3.buckets import Address, Buckets

CONTENT = b"0123456789"


class BreakingServer(ThreadingHTTPServer):
    """Its answers break off half way, so many times."""

    daemon_threads = True
    breaks = 0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: BreakingServer

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.send_header("Last-Modified", "Sat, 31 Jan 2026 00:00:00 GMT")
        self.end_headers()
        is_breaking, self.server.breaks = self.server.breaks > 0, self.server.breaks - 1
        self.wfile.write(CONTENT[:5] if is_breaking else CONTENT)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[BreakingServer]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    made = BreakingServer()
    thread = Thread(target=made.serve_forever, args=(0.05,))
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def buckets(server: BreakingServer) -> Iterator[Buckets]:
    url = f"http://127.0.0.1:{server.server_port}"
    made = Buckets(StoreSettings(endpoint_url=url, region="us-east-1"))
    yield made
    made.close()


def test_an_answer_that_breaks_off_is_read_again(
    server: BreakingServer, buckets: Buckets, tmp_path: Path
) -> None:
    server.breaks = 2

    buckets.fetch(Address("bucket", "a"), tmp_path / "a")

    assert (tmp_path / "a").read_bytes() == CONTENT
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


def test_of_an_object_that_cannot_be_read_whole_there_is_no_file(
    server: BreakingServer, buckets: Buckets, tmp_path: Path
) -> None:
    server.breaks = 1000

    with pytest.raises(StoreUnreachable, match="s3://bucket/a"):
        buckets.fetch(Address("bucket", "a"), tmp_path / "a")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("wanted", "byte_range"),
    [
        (S3GetObject("a"), None),
        (S3GetObject("a", 0, None), "bytes=0-"),
        (S3GetObject("a", None, 5), "bytes=0-4"),
        (S3GetObject("a", 500, 100), "bytes=500-599"),
        (S3GetObject("a", 3, -5), "bytes=-5"),
    ],
)
def test_a_part_is_a_range_of_http(wanted: S3GetObject, byte_range: str | None) -> None:
    assert byte_range_of(wanted) == byte_range


@pytest.mark.parametrize("wanted", [S3GetObject("a", -1, 5), S3GetObject("a", 0, 0)])
def test_a_part_that_cannot_be_is_refused(wanted: S3GetObject) -> None:
    with pytest.raises(InvalidS3Request, match="offset is 0 or more"):
        byte_range_of(wanted)


@pytest.mark.parametrize(
    ("headers", "metadata"),
    [
        ({"metaflow-user-attributes": '{"Rows": [1, "ü"]}'}, {"Rows": [1, "ü"]}),
        ({"owner": "ada"}, {"owner": "ada"}),
        ({}, None),
    ],
)
def test_metadata_is_that_of_metaflow_or_the_plain_headers(
    headers: dict[str, str], metadata: dict[str, object] | None
) -> None:
    assert metadata_of(headers) == metadata
