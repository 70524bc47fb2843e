"""What is particular to the store in a bucket: credentials, servers that do not answer."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from urllib.parse import urlsplit

import pytest

from eventflow.effects import SystemIds
from eventflow.errors import InvalidSettings, StoreForbidden, StoreUnreachable
from eventflow.settings import StoreSettings
from eventflow.store.deciding import decide
from eventflow.store.port import Store
from eventflow.store.probe import probe
from eventflow.store.s3 import S3Store
from tests.servers.processes import free_port
from tests.servers.s3 import S3Endpoint, S3Server

pytestmark = pytest.mark.s3

PATIENCE_SECONDS = 15


def store_at(endpoint_url: str, bucket: str) -> Store:
    return S3Store(
        StoreSettings(url=f"s3://{bucket}", endpoint_url=endpoint_url, region="us-east-1")
    )


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch, s3_server: S3Endpoint) -> S3Endpoint:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret_key)
    return s3_server


def assert_every_call_is_forbidden(store: Store) -> None:
    with pytest.raises(StoreForbidden, match="AWS_ACCESS_KEY_ID"):
        store.get("a")
    with pytest.raises(StoreForbidden, match="AWS_ACCESS_KEY_ID"):
        list(store.get_all(["a", "b"]))
    with pytest.raises(StoreForbidden, match="AWS_ACCESS_KEY_ID"):
        store.put("a", b"")
    with pytest.raises(StoreForbidden, match="AWS_ACCESS_KEY_ID"):
        store.put("a", b"large" * 4 * 2**20)
    with pytest.raises(StoreForbidden, match="AWS_ACCESS_KEY_ID"):
        store.put_if_absent("a", b"")
    with pytest.raises(StoreForbidden, match="AWS_ACCESS_KEY_ID"):
        store.put_all([("a", b""), ("b", b"")])
    with pytest.raises(StoreForbidden, match="AWS_ACCESS_KEY_ID"):
        store.info("a")
    with pytest.raises(StoreForbidden, match="AWS_ACCESS_KEY_ID"):
        list(store.list(""))
    with pytest.raises(StoreForbidden, match="AWS_ACCESS_KEY_ID"):
        store.delete(["a"])
    with pytest.raises(StoreForbidden, match="AWS_ACCESS_KEY_ID"):
        probe(store, SystemIds())


def test_a_wrong_secret_is_forbidden(
    credentials: S3Endpoint, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")

    assert_every_call_is_forbidden(store_at(credentials.endpoint_url, s3_bucket))


def test_an_unknown_key_is_forbidden(
    credentials: S3Endpoint, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")

    assert_every_call_is_forbidden(store_at(credentials.endpoint_url, s3_bucket))


def test_without_credentials_everything_is_forbidden(
    s3_server: S3Endpoint, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    assert_every_call_is_forbidden(store_at(s3_server.endpoint_url, s3_bucket))


def test_a_server_that_is_not_there_is_unreachable_in_time(credentials: S3Endpoint) -> None:
    store = store_at(f"http://127.0.0.1:{free_port()}", "bucket")

    for call in (lambda: store.get("a"), lambda: store.put_all([("a", b""), ("b", b"")])):
        began = time.monotonic()
        with pytest.raises(StoreUnreachable, match="does not answer"):
            call()
        assert time.monotonic() - began < PATIENCE_SECONDS


@pytest.fixture
def own_store(own_s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store on a server that the test may kill."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", own_s3_server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", own_s3_server.secret_key)
    own_s3_server.create_bucket("own-bucket")
    return store_at(own_s3_server.endpoint_url, "own-bucket")


@pytest.mark.slow
def test_a_server_that_hangs_is_unreachable_in_time(
    own_s3_server: S3Server, own_store: Store
) -> None:
    own_store.put("a", b"")
    own_s3_server.pause()

    began = time.monotonic()
    with pytest.raises(StoreUnreachable, match="does not answer"):
        own_store.get("a")

    assert time.monotonic() - began < PATIENCE_SECONDS
    own_s3_server.resume()
    assert own_store.get("a") == b""


def test_a_restart_of_the_server_is_waited_for(own_s3_server: S3Server, own_store: Store) -> None:
    own_store.put("a", b"1")
    own_s3_server.kill()

    with ThreadPoolExecutor(2) as calls:
        reading = calls.submit(own_store.get, "a")
        writing = calls.submit(own_store.put_if_absent, "b", b"2")
        own_s3_server.restart()

        assert reading.result() == b"1"
        assert writing.result()


class LossyProxy:
    """Hands requests on to a server; told so, it drops the answer to the next one."""

    def __init__(self, endpoint_url: str) -> None:
        upstream = urlsplit(endpoint_url)
        self._upstream = (upstream.hostname, upstream.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets = ExitStack()
        self._is_dropping = threading.Event()
        self.dropped = 0
        self.endpoint_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def drop_next_answer(self) -> None:
        self._is_dropping.set()

    def close(self) -> None:
        self._listener.close()
        self._sockets.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._upstream)
                self._sockets.callback(client.close)
                self._sockets.callback(server.close)
                is_doomed = threading.Event()
                for hand_on in (self._requests, self._answers):
                    pair = (client, server, is_doomed)
                    threading.Thread(target=hand_on, args=pair, daemon=True).start()

    def _requests(
        self, client: socket.socket, server: socket.socket, is_doomed: threading.Event
    ) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                if self._is_dropping.is_set():
                    self._is_dropping.clear()
                    is_doomed.set()
                server.sendall(data)
        _hang_up(client, server)

    def _answers(
        self, client: socket.socket, server: socket.socket, is_doomed: threading.Event
    ) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if is_doomed.is_set() and not data.startswith(b"HTTP/1.1 100 "):
                    self.dropped += 1
                    break
                client.sendall(data)
        _hang_up(client, server)


def _hang_up(*sockets: socket.socket) -> None:
    for each in sockets:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(credentials: S3Endpoint) -> Iterator[LossyProxy]:
    with closing(LossyProxy(credentials.endpoint_url)) as proxy:
        yield proxy


def test_an_answer_lost_on_the_wire_does_not_lose_the_decision(
    proxy: LossyProxy, s3_bucket: str, s3_prefix: str
) -> None:
    store = store_at(proxy.endpoint_url, s3_bucket)
    store.put(f"{s3_prefix}warm", b"")

    proxy.drop_next_answer()
    decided = decide(store, f"{s3_prefix}end.json", {"outcome": "succeeded"}, nonce="mine")

    assert proxy.dropped == 1
    assert decided.is_mine


def test_a_lost_answer_to_a_conditional_put_reads_as_not_won(
    proxy: LossyProxy, s3_bucket: str, s3_prefix: str
) -> None:
    store = store_at(proxy.endpoint_url, s3_bucket)
    store.put(f"{s3_prefix}warm", b"")

    proxy.drop_next_answer()

    assert not store.put_if_absent(f"{s3_prefix}key", b"mine")
    assert store.get(f"{s3_prefix}key") == b"mine"


def test_a_read_that_breaks_off_is_read_again(
    proxy: LossyProxy, s3_bucket: str, s3_prefix: str
) -> None:
    store = store_at(proxy.endpoint_url, s3_bucket)
    content = bytes(range(256)) * 4096
    store.put(f"{s3_prefix}key", content)

    proxy.drop_next_answer()

    assert store.get(f"{s3_prefix}key") == content
    assert proxy.dropped == 1


@pytest.mark.parametrize(
    "url",
    [None, "", "s3://", "s3:///prefix", "/folder", "http://bucket", "s3://b/../x", "s3://b?x"],
)
def test_a_url_that_is_no_bucket_is_refused(url: str | None) -> None:
    with pytest.raises(InvalidSettings, match="EVENTFLOW_STORE__URL"):
        S3Store(StoreSettings(url=url))


def test_an_endpoint_that_is_no_url_is_refused() -> None:
    with pytest.raises(InvalidSettings, match="s3://bucket"):
        S3Store(StoreSettings(url="s3://bucket", endpoint_url="nonsense"))


def test_a_bucket_name_that_cannot_be_is_refused(credentials: S3Endpoint) -> None:
    with pytest.raises(InvalidSettings):
        store_at(credentials.endpoint_url, "no bucket").get("a")


def test_a_rehearsal_asks_no_server(credentials: S3Endpoint) -> None:
    store = store_at(f"http://127.0.0.1:{free_port()}", "bucket")

    store.rehearse()

    with pytest.raises(StoreUnreachable):
        store.get("rehearsal")
