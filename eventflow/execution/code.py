"""The code of a flow as one archive: packed by the deployer, unpacked by runners.

The archive is a plain tar of every Python file below the flow's folder, sorted, without owners
and times: the same tree gives the same bytes, and so the same digest, on every machine. It is not
compressed, because the bytes of a compressor change with its version.
"""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from eventflow.errors import CorruptObject, FlowProblem, InvalidFlow
from eventflow.execution.file_lock import locked
from eventflow.model.deployment import CodePackage
from eventflow.store.blobs import digest_of, get_blob, put_blob

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from eventflow.store.port import Store

__all__ = ["package", "store_package", "unpack"]

_MOST_BYTES = 50 * 2**20
_SHOWN_FILES = 5
_PARTIAL = ".partial"


def package(
    flow_file: Path, suffixes: Collection[str] = (), *, leave_out: Collection[Path] = ()
) -> tuple[bytes, CodePackage]:
    """The archive of `*.py`, and of files with further `suffixes`, below the file's folder.

    Hidden folders (so `.eventflow` too), virtual environments and caches are left out, and what
    lies in `leave_out`: a state folder elsewhere. Linked folders are followed, each once.

    Raises:
        InvalidFlow: it would be over 50 MiB, or a file cannot be read.
    """
    root = flow_file.absolute().parent
    wanted = (".py", *suffixes)
    files = [path for path in _files(root, leave_out) if path.name.endswith(wanted)]
    try:
        _check_size(flow_file, root, files)
        data = _archive(root, files)
    except OSError as error:
        raise _refusal(flow_file, f"its code cannot be packed: {error}") from error
    return data, CodePackage(digest_of(data), len(data), flow_file.name)


def store_package(store: Store, project: str, data: bytes, code: CodePackage) -> None:
    """Put the archive below its project; a repeat is harmless. It is durable on return."""
    digest = put_blob(store, project, data)
    assert digest == code.digest, "the archive of another package"


def unpack(store: Store, project: str, code: CodePackage, cache: Path) -> Path:
    """The folder `<cache>/<digest>` with the files of the package; unpacked when it is not there.

    The folder appears whole. Processes that unpack at once wait for each other; what one that
    died has left half-done is done again.

    Raises:
        ObjectMissing: the project has no such package.
        CorruptObject: the archive is not what its digest says, or no archive of ours.
    """
    folder = cache.absolute() / code.digest
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with locked(cache / ".lock"):
        if not folder.is_dir():
            data = get_blob(store, project, code.digest)
            partial = folder.with_suffix(_PARTIAL)
            shutil.rmtree(partial, ignore_errors=True)
            _extract(data, partial)
            partial.rename(folder)
            _sync(cache)
    return folder


# ── packing ──────────────────────────────────────────────────────────────────


def _files(root: Path, leave_out: Collection[Path]) -> Sequence[Path]:
    """Every file below `root`, in the order of their names' bytes."""
    seen = {path.resolve() for path in leave_out}
    found: list[Path] = []
    for folder, folders, names in os.walk(root, followlinks=True):
        place = Path(folder)
        if place.resolve() in seen or (place != root and (place / "pyvenv.cfg").exists()):
            folders.clear()
            continue
        seen.add(place.resolve())
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and name != "__pycache__"
        )
        found += [place / name for name in names if (place / name).is_file()]
    return sorted(found, key=os.fsencode)


def _check_size(flow_file: Path, root: Path, files: Sequence[Path]) -> None:
    sizes = {path: path.stat().st_size for path in files}
    total = sum(sizes.values())
    if total > _MOST_BYTES:
        largest = sorted(files, key=lambda path: -sizes[path])[:_SHOWN_FILES]
        listed = ", ".join(f"{path.relative_to(root)} {_mib(sizes[path])}" for path in largest)
        raise _refusal(
            flow_file,
            f"its code package would have {_mib(total)}, and at most {_mib(_MOST_BYTES)} are"
            f" allowed. Its largest files: {listed}. Put data into the store, not beside the code",
        )


def _archive(root: Path, files: Sequence[Path]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in files:
            content = path.read_bytes()
            entry = tarfile.TarInfo(path.relative_to(root).as_posix())
            entry.size = len(content)
            entry.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _refusal(flow_file: Path, why: str) -> InvalidFlow:
    return InvalidFlow([FlowProblem(f"{why}.", str(flow_file), 1)])


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"


# ── unpacking ────────────────────────────────────────────────────────────────


def _extract(data: bytes, folder: Path) -> None:
    """Write and fsync the files: a folder that is there after a power cut is there whole."""
    folder.mkdir()
    folders = {folder}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for entry in archive:
                path = folder / _safe_name(entry)
                content = archive.extractfile(entry)
                assert content is not None
                path.parent.mkdir(parents=True, exist_ok=True)
                _write(path, content.read(), entry.mode)
                folders.update(parent for parent in path.parents if folder in parent.parents)
    except tarfile.TarError as error:
        raise CorruptObject(f"The code package cannot be unpacked: {error}.") from error
    for each in folders:
        _sync(each)


def _safe_name(entry: tarfile.TarInfo) -> PurePosixPath:
    name = PurePosixPath(entry.name)
    if not entry.isreg() or name.is_absolute() or ".." in name.parts or not name.parts:
        raise CorruptObject(
            f"The code package holds {entry.name!r}, which is no file inside of it."
        )
    return name


def _write(path: Path, content: bytes, mode: int) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fchmod(file.fileno(), mode & 0o755)
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
