"""A flow's code as an archive: the same tree, the same digest; on disk whole, or not at all."""

from __future__ import annotations

import io
import os
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from eventflow.errors import CorruptObject, InvalidFlow
from eventflow.execution.code import package, store_package, unpack
from eventflow.model.deployment import CodePackage
from eventflow.store.blobs import digest_of, put_blob
from eventflow.store.layout import blob_key
from eventflow.store.local import LocalStore

PROJECT = "shop"


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    folder = tmp_path / "store"
    folder.mkdir()
    return LocalStore(folder)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def tree(root: Path, **files: str) -> Path:
    """A folder with a flow and these files. Its flow file."""
    for name, content in {"flow.py": "import helpers", **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root / "flow.py"


def names(data: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return archive.getnames()


def archive_of(*entries: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for entry in entries:
            archive.addfile(entry, io.BytesIO(b"x" * entry.size))
    return buffer.getvalue()


def stored(store: LocalStore, data: bytes) -> CodePackage:
    return CodePackage(put_blob(store, PROJECT, data), len(data), "flow.py")


class TestPackage:
    def test_has_the_python_files_below_the_folder_of_the_flow_in_order(
        self, tmp_path: Path
    ) -> None:
        flow = tree(tmp_path / "code")
        tree(tmp_path / "code", **{"lib/a.py": "", "b.py": "", "notes.txt": "", "lib/b.txt": ""})

        data, code = package(flow)

        assert names(data) == ["b.py", "flow.py", "lib/a.py"]
        assert code == CodePackage(digest_of(data), len(data), "flow.py")

    def test_has_files_with_further_suffixes(self, tmp_path: Path) -> None:
        flow = tree(tmp_path / "code", **{"query.sql": "select", "table.csv": ""})

        data, _ = package(flow, [".sql"])

        assert names(data) == ["flow.py", "query.sql"]

    def test_leaves_out_what_is_no_code_of_the_flow(self, tmp_path: Path) -> None:
        flow = tree(
            tmp_path / "code",
            **{
                ".eventflow/cache/old.py": "",
                ".git/hook.py": "",
                "env/pyvenv.cfg": "",
                "env/lib/site.py": "",
                "__pycache__/flow.py": "",
                "state/cache/old.py": "",
            },
        )

        data, _ = package(flow, leave_out=[tmp_path / "code" / "state"])

        assert names(data) == ["flow.py"]

    def test_is_the_same_for_the_same_tree_whenever_and_wherever_it_was_written(
        self, tmp_path: Path
    ) -> None:
        files = {"lib/b.py": "b", "lib/a.py": "a"}
        one, other = (tree(tmp_path / name, **files) for name in ("one", "other"))
        os.utime(other, (0, 0))
        (tmp_path / "other" / "lib" / "a.py").chmod(0o600)

        assert package(one) == package(other)

    def test_is_another_when_a_file_changes(self, tmp_path: Path) -> None:
        flow = tree(tmp_path / "code", **{"lib.py": "1"})
        before = package(flow)[1]
        tree(tmp_path / "code", **{"lib.py": "2"})

        after = package(flow)[1]

        assert after.digest != before.digest

    def test_follows_a_linked_folder_once(self, tmp_path: Path) -> None:
        flow = tree(tmp_path / "code")
        tree(tmp_path / "shared", **{"tools.py": ""})
        (tmp_path / "code" / "shared").symlink_to(tmp_path / "shared")
        (tmp_path / "shared" / "loop").symlink_to(tmp_path / "code")

        data, _ = package(flow)

        assert names(data) == ["flow.py", "shared/flow.py", "shared/tools.py"]

    def test_over_the_limit_is_refused_with_its_largest_files(self, tmp_path: Path) -> None:
        flow = tree(tmp_path / "code")
        with (tmp_path / "code" / "embedded.py").open("wb") as file:
            file.truncate(51 * 2**20)

        with pytest.raises(InvalidFlow, match=r"51\.0 MiB.*at most 50\.0 MiB.*embedded\.py 51"):
            package(flow)


class TestUnpack:
    def test_gives_the_tree_under_its_digest(
        self, tmp_path: Path, store: LocalStore, cache: Path
    ) -> None:
        data, code = package(tree(tmp_path / "code", **{"lib/a.py": "answer = 42"}))
        store_package(store, PROJECT, data, code)

        folder = unpack(store, PROJECT, code, cache)

        assert folder == cache / code.digest
        assert (folder / "lib" / "a.py").read_text() == "answer = 42"

    def test_unpacks_once(self, tmp_path: Path, store: LocalStore, cache: Path) -> None:
        data, code = package(tree(tmp_path / "code"))
        store_package(store, PROJECT, data, code)
        folder = unpack(store, PROJECT, code, cache)
        store.delete([blob_key(PROJECT, code.digest)])

        assert unpack(store, PROJECT, code, cache) == folder

    def test_does_what_a_dead_unpacker_left_half_done_again(
        self, tmp_path: Path, store: LocalStore, cache: Path
    ) -> None:
        data, code = package(tree(tmp_path / "code"))
        store_package(store, PROJECT, data, code)
        half = cache / f"{code.digest}.partial"
        half.mkdir(parents=True)
        (half / "stale.py").write_text("")

        folder = unpack(store, PROJECT, code, cache)

        assert [path.name for path in folder.iterdir()] == ["flow.py"]
        assert not half.exists()

    def test_at_once_from_many_sides_gives_one_whole_folder(
        self, tmp_path: Path, store: LocalStore, cache: Path
    ) -> None:
        files = {f"part_{number}.py": "" for number in range(20)}
        data, code = package(tree(tmp_path / "code", **files))
        store_package(store, PROJECT, data, code)

        with ThreadPoolExecutor(8) as pool:
            folders = list(
                pool.map(
                    lambda _: sorted(p.name for p in unpack(store, PROJECT, code, cache).iterdir()),
                    range(8),
                )
            )

        assert folders == [sorted(["flow.py", *files])] * 8

    def test_refuses_bytes_that_are_not_those_of_the_digest(
        self, tmp_path: Path, store: LocalStore, cache: Path
    ) -> None:
        data, code = package(tree(tmp_path / "code"))
        store.put(blob_key(PROJECT, code.digest), data.replace(b"helpers", b"malware"))

        with pytest.raises(CorruptObject, match="SHA-256"):
            unpack(store, PROJECT, code, cache)

        assert not (cache / code.digest).exists()

    @pytest.mark.parametrize("name", ["../outside.py", "/outside.py", "lib/../../outside.py"])
    def test_refuses_names_that_lead_out_of_the_folder(
        self, name: str, store: LocalStore, cache: Path
    ) -> None:
        code = stored(store, archive_of(tarfile.TarInfo(name)))

        with pytest.raises(CorruptObject, match="outside"):
            unpack(store, PROJECT, code, cache)

        assert not list(cache.parent.glob("**/outside.py"))

    def test_refuses_links(self, store: LocalStore, cache: Path) -> None:
        link = tarfile.TarInfo("flow.py")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        code = stored(store, archive_of(link))

        with pytest.raises(CorruptObject, match=r"flow\.py"):
            unpack(store, PROJECT, code, cache)

    def test_refuses_what_is_no_archive(self, store: LocalStore, cache: Path) -> None:
        code = stored(store, b"no tar at all")

        with pytest.raises(CorruptObject, match="unpacked"):
            unpack(store, PROJECT, code, cache)
