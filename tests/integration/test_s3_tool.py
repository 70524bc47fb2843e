"""`S3`, the data tool, on a real server."""

from __future__ import annotations

import io
import os
import secrets
from pathlib import Path

import pytest

from eventflow import S3, S3GetObject, S3PutObject
from eventflow.datatools import RangeInfo
from eventflow.errors import (
    BucketMissing,
    InvalidS3Address,
    InvalidS3Request,
    S3Closed,
    S3KeyMissing,
    StoreForbidden,
)
from tests.support.s3_tool import root, s3, store

__all__ = ["root", "s3", "store"]

pytestmark = pytest.mark.s3

LARGE_BYTES = 30 * 2**20


def test_what_is_put_is_got(s3: S3, root: str) -> None:
    url = s3.put("greeting.txt", "schön", content_type="text/plain", metadata={"Rows": [1, "ü"]})

    got = s3.get("greeting.txt")

    assert url == got.url == f"{root}/greeting.txt"
    assert (got.key, got.prefix) == ("greeting.txt", root)
    assert got.exists
    assert got.downloaded
    assert got.text == "schön"
    assert got.blob == "schön".encode()
    assert got.size == 6
    assert got.path is not None
    assert got.path.endswith(".txt")
    assert Path(got.path).read_text(encoding="utf-8") == "schön"
    assert got.has_info
    assert got.content_type == "text/plain"
    assert got.metadata == {"Rows": [1, "ü"]}
    assert got.range_info == RangeInfo(6, 0, 6)
    assert isinstance(got.last_modified, int)


def test_without_info_there_is_the_content_only(s3: S3) -> None:
    s3.put("a", b"1", metadata={"a": "b"})

    (got,) = s3.get_many(["a"], return_info=False)

    assert got.blob == b"1"
    assert not got.has_info
    assert got.last_modified is None


@pytest.mark.parametrize(
    "key", ["ключ/値 é.bin", "with space & + %20 # ? =.txt", "trailing.", "x" * 200]
)
def test_a_key_may_be_nearly_any_text(s3: S3, key: str, root: str) -> None:
    s3.put(key, key)

    assert s3.get(key).text == key
    assert [each.key for each in s3.list_recursive()] == [key]
    with S3() as whole:
        assert whole.get(f"{root}/{key}").text == key


def test_an_empty_object_is_an_object(s3: S3) -> None:
    s3.put("empty", b"")

    got, told, (listed,) = s3.get("empty"), s3.info("empty"), s3.list_paths()

    assert got.blob == b""
    assert [got.size, told.size, listed.size] == [0, 0, 0]
    assert got.exists
    assert listed.exists
    assert not told.downloaded


def test_a_file_that_is_put_stays_open_and_is_put_from_its_beginning(
    s3: S3, tmp_path: Path
) -> None:
    local = tmp_path / "local.bin"
    local.write_bytes(b"0123")
    with local.open("rb") as file:
        file.seek(2)

        s3.put("file", file)

        assert not file.closed
    assert s3.get("file").blob == b"0123"


def test_a_large_file_that_is_open_is_put_in_parts(s3: S3) -> None:
    content = secrets.token_bytes(LARGE_BYTES)

    s3.put_many([("large", io.BytesIO(content)), ("small", io.BytesIO(b"1"))])

    assert [each.blob for each in s3.get_many(["large", "small"])] == [content, b"1"]


def test_of_many_that_put_one_new_key_at_once_one_is_kept(root: str) -> None:
    with S3(s3root=root) as s3:
        put = s3.put_many([("a", str(number)) for number in range(32)], overwrite=False)

        assert len(put) == 1


@pytest.mark.parametrize("metadata", [{"a": object()}, {"a": "x" * 10_000}])
def test_metadata_that_cannot_be_kept_is_refused(s3: S3, metadata: dict[str, object]) -> None:
    with pytest.raises(InvalidS3Request, match="JSON"):
        s3.put("a", "1", metadata=metadata)


@pytest.mark.parametrize("value", [None, 3, {"a": 1}, io.StringIO("text")])
def test_what_is_no_text_no_bytes_and_no_file_is_not_put(s3: S3, value: object) -> None:
    with pytest.raises(InvalidS3Request, match="give text, bytes, or a file"):
        s3.put("a", value)  # type: ignore[arg-type]


def test_without_overwrite_the_first_one_stays(s3: S3, root: str) -> None:
    s3.put_many([("a", "first")])

    url = s3.put("a", "second", overwrite=False)
    put = s3.put_many([("a", "third"), ("b", "new")], overwrite=False)

    assert url == f"{root}/a"
    assert put == [("b", f"{root}/b")]
    assert [each.text for each in s3.get_many(["a", "b"])] == ["first", "new"]
    s3.put("a", "fourth")
    assert s3.get("a").text == "fourth"


def test_many_come_in_the_order_of_their_keys(s3: S3, root: str) -> None:
    keys = [f"{number * 7919 % 100:02d}" for number in range(100)]

    put = s3.put_many((key, key) for key in keys)
    got = s3.get_many([*keys, keys[0]])
    told = s3.info_many(keys)

    assert put == [(key, f"{root}/{key}") for key in keys]
    assert [each.key for each in got] == [each.text for each in got] == [*keys, keys[0]]
    assert [each.key for each in told] == keys
    assert len({each.path for each in got}) == 101


def test_files_are_put_with_what_is_kept_beside_them(s3: S3, tmp_path: Path, root: str) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"1")
    two.write_bytes(b"22")

    put = s3.put_files(
        [
            ("a/one", str(one)),
            S3PutObject("a/two", path=str(two), content_type="x/y", metadata={"k": "v"}),
        ]
    )

    assert put == [("a/one", f"{root}/a/one"), ("a/two", f"{root}/a/two")]
    first, second = s3.get_many(["a/one", "a/two"])
    assert (first.blob, first.metadata) == (b"1", None)
    assert (second.blob, second.content_type, second.metadata) == (b"22", "x/y", {"k": "v"})
    with pytest.raises(InvalidS3Request, match="there is no file"):
        s3.put_files([("a", str(tmp_path / "none"))])


def test_a_large_object_and_ranges_of_it(s3: S3) -> None:
    content = secrets.token_bytes(LARGE_BYTES)
    s3.put("large", content)

    whole = s3.get("large")
    parts = s3.get_many(
        [
            S3GetObject("large", 10, 20),
            S3GetObject("large", LARGE_BYTES - 5, None),
            S3GetObject("large", None, -7),
            S3GetObject("large", LARGE_BYTES - 1, 100),
        ]
    )

    assert whole.blob == content
    assert whole.range_info == RangeInfo(LARGE_BYTES, 0, LARGE_BYTES)
    assert [each.blob for each in parts] == [
        content[10:30],
        content[-5:],
        content[-7:],
        content[-1:],
    ]
    assert parts[0].range_info == RangeInfo(LARGE_BYTES, 10, 20)
    assert parts[0].size == 20
    with pytest.raises(InvalidS3Request, match="no such range"):
        s3.get(S3GetObject("large", LARGE_BYTES, 1))
    with pytest.raises(InvalidS3Request, match="negative length counts from"):
        s3.get(S3GetObject("large", 0, 0))


def test_a_large_one_is_not_overwritten_either(s3: S3) -> None:
    s3.put("large", b"1" * LARGE_BYTES, overwrite=False)

    s3.put("large", b"2" * LARGE_BYTES, overwrite=False)

    assert s3.get(S3GetObject("large", 0, 3)).blob == b"111"


def test_what_is_missing_is_an_error_or_comes_as_missing(s3: S3, root: str) -> None:
    s3.put("a", "here")

    for ask in (s3.get, s3.info):
        with pytest.raises(S3KeyMissing, match=f"{root}/b does not exist.*return_missing"):
            ask("b")
    for ask_many in (s3.get_many, s3.info_many):
        with pytest.raises(S3KeyMissing, match="/b does not exist"):
            ask_many(["a", "b"])
    found = [*s3.get_many(["b", "a"], return_missing=True), s3.info("b", return_missing=True)]

    assert [each.exists for each in found] == [False, True, False]
    assert (found[0].size, found[0].path, found[0].blob, found[0].text) == (None, None, None, None)
    assert found[0].key == "b"


def test_listings_have_folders_or_all_that_is_in_them(s3: S3, root: str) -> None:
    s3.put_many((key, key) for key in ("a/0", "a/b/1", "a/d/e/3", "f/4", "top", "ab/5"))

    right_below = s3.list_paths(["f", "a"])
    deep = s3.list_recursive(["a/"])

    assert [(each.key, each.exists) for each in s3.list_paths()] == [
        ("a", False),
        ("ab", False),
        ("f", False),
        ("top", True),
    ]
    assert [(each.url, each.exists, each.size) for each in right_below] == [
        (f"{root}/f/4", True, 3),
        (f"{root}/a/0", True, 3),
        (f"{root}/a/b/", False, None),
        (f"{root}/a/d/", False, None),
    ]
    assert [(each.key, each.prefix) for each in deep] == [
        (key, f"{root}/a") for key in ("0", "b/1", "d/e/3")
    ]
    assert s3.list_paths(["nothing"]) == []


def test_everything_below_is_got(s3: S3, root: str) -> None:
    s3.put_many((key, key) for key in ("a/0", "a/b/1", "f/4"))

    below = s3.get_recursive(["f", "a"])
    everything = s3.get_all(return_info=True)

    assert [(each.key, each.text) for each in below] == [
        ("4", "f/4"),
        ("0", "a/0"),
        ("b/1", "a/b/1"),
    ]
    assert [(each.key, each.text) for each in everything] == [
        (key, key) for key in ("a/0", "a/b/1", "f/4")
    ]
    assert [each.has_info for each in (below[0], everything[0])] == [False, True]


@pytest.mark.slow
def test_three_thousand_keys_are_listed(s3: S3) -> None:
    keys = [f"folder/{number:04d}" for number in range(3000)]
    s3.put_many((key, "") for key in keys)

    listed = s3.list_recursive()

    assert [each.key for each in listed] == keys


def test_files_last_until_the_end_of_the_block(root: str, tmp_path: Path) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()

    with S3(s3root=root, tmproot=str(folder)) as s3:
        s3.put("a", "1")
        got = s3.get("a")
        assert got.text == "1"
        assert len(list(folder.iterdir())) == 1

    assert list(folder.iterdir()) == []
    for read in ("path", "blob", "text"):
        with pytest.raises(S3Closed, match="within its `with` block"):
            getattr(got, read)
    for ask in (lambda: s3.get("a"), lambda: s3.put("a", ""), s3.list_paths):
        with pytest.raises(S3Closed, match="Make another one"):
            ask()


def test_a_temporary_folder_that_is_not_there_is_named(root: str, tmp_path: Path) -> None:
    s3 = S3(s3root=root, tmproot=str(tmp_path / "none"))

    with pytest.raises(InvalidS3Request, match=r"tmproot=.*none"):
        s3.get("a")


def test_whole_urls_are_keys_without_a_root(s3: S3, root: str) -> None:
    s3.put("a/b", "1")

    with S3() as whole:
        got = whole.get(f"{root}/a/b")
        listed = whole.list_recursive([f"{root}/a"])
        for key in ("a", None):
            with pytest.raises(InvalidS3Address, match="write s3://bucket/key"):
                whole.get(key)
        with pytest.raises(InvalidS3Address, match="no root"):
            whole.get_all()

    assert (got.key, got.prefix) == (f"{root}/a/b", None)
    assert [each.url for each in listed] == [f"{root}/a/b"]


def test_bucket_and_prefix_make_a_root(s3: S3, root: str) -> None:
    bucket, _, prefix = root.removeprefix("s3://").partition("/")

    with S3(bucket=bucket, prefix=prefix) as other:
        other.put("a", "1")

    assert s3.get("a").text == "1"


@pytest.mark.parametrize("key", ["s3://bucket/a", "../a", "a/./b"])
def test_a_key_that_leads_out_of_the_root_is_refused(s3: S3, key: str) -> None:
    with pytest.raises(InvalidS3Address):
        s3.put(key, "")


@pytest.mark.parametrize(
    "place",
    [
        {"s3root": "/folder"},
        {"s3root": "s3://"},
        {"s3root": "http://bucket/key"},
        {"prefix": "a"},
        {"s3root": "s3://a/b", "bucket": "c"},
    ],
)
def test_a_root_that_is_none_is_refused(root: str, place: dict[str, str]) -> None:
    with pytest.raises(InvalidS3Address):
        S3(**place)  # type: ignore[arg-type]


def test_one_key_is_not_taken_for_several(s3: S3) -> None:
    with pytest.raises(InvalidS3Request, match="give a list"):
        s3.get_many("abc")


def test_a_bucket_that_is_not_there_is_named(root: str) -> None:
    with S3(bucket="there-is-none") as s3:
        asks = (
            lambda: s3.get("a"),
            lambda: s3.info("a", return_missing=True),
            lambda: s3.put("a", "1"),
            lambda: s3.put("a", "1", overwrite=False),
            s3.list_paths,
        )
        for ask in asks:
            with pytest.raises(BucketMissing, match="'there-is-none' does not exist: make it"):
                ask()


def test_wrong_credentials_are_refused(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")

    with S3(s3root=root) as s3:
        for ask in (
            lambda: s3.get("a"),
            lambda: s3.info("a"),
            lambda: s3.put("a", "1"),
            lambda: s3.put("a", b"1" * LARGE_BYTES),
            s3.list_paths,
        ):
            with pytest.raises(StoreForbidden, match="AWS_ACCESS_KEY_ID"):
                ask()


def test_a_child_process_has_a_client_of_its_own(s3: S3) -> None:
    s3.put("a", "of the parent")
    before = s3.get("a")

    child = os.fork()
    if child == 0:
        code = 1
        try:
            s3.put("b", str(s3.get("a").text))
            s3.close()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert s3.get("b").text == before.text == "of the parent"
