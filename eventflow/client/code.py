"""`Code`: the code package that a run was made with."""

from __future__ import annotations

import io
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from eventflow.context import world
from eventflow.errors import CorruptObject
from eventflow.store.blobs import get_blob
from eventflow.store.layout import blob_key
from eventflow.store.runs import read_run

if TYPE_CHECKING:
    import tarfile

    from eventflow.store.layout import RunPlace

__all__ = ["Code", "code_of", "environment_of"]


@dataclass(frozen=True, slots=True)
class Code:
    """The archive of a version's code, read and verified each time it is asked for.

    `digest` is its SHA-256 in hexadecimal, `script_name` the flow's file in it.
    """

    project: str
    digest: str
    script_name: str

    @property
    def path(self) -> str:
        """Where it lies in the store."""
        return f"{world().store.url}/{blob_key(self.project, self.digest)}"

    @property
    def info(self) -> dict[str, str]:
        """What is known of it without reading it."""
        return {"digest": self.digest, "script": self.script_name, "path": self.path}

    @property
    def tarball(self) -> tarfile.TarFile:
        """The archive, opened for reading.

        Raises:
            ObjectMissing: it is gone.
            CorruptObject: its bytes changed.
        """
        # Here, and not above: each template process has the client, and would carry it.
        import tarfile  # noqa: PLC0415

        data = get_blob(world().store, self.project, self.digest)
        try:
            return tarfile.open(fileobj=io.BytesIO(data), mode="r:")
        except tarfile.TarError as error:
            raise CorruptObject(f"{self.path} is no code package: {error}.") from error

    @property
    def flowspec(self) -> str:
        """The text of the flow's file."""
        with self.tarball as archive:
            file = archive.extractfile(self.script_name)
            assert file is not None  # packages hold plain files only
            return file.read().decode()

    def extract(self) -> TemporaryDirectory[str]:
        """A new folder with all files, removed when the object is gone: `.name` is its path."""
        folder = TemporaryDirectory(prefix="eventflow-code-")
        with self.tarball as archive:
            archive.extractall(folder.name, filter="data")
        return folder


def code_of(place: RunPlace) -> Code | None:
    """The code of a run; None of a run by hand, whose code was not packed."""
    run = read_run(world().store, place)
    if not run.code_digest:
        return None
    return Code(place.namespace.partition("/")[0], run.code_digest, run.graph.file)


def environment_of(place: RunPlace) -> dict[str, str]:
    """What a run was started or deployed with: `user`, `eventflow_version`, `python_version`,
    `script`, and `code`, the digest of its package."""
    run = read_run(world().store, place)
    said = (tag.partition(":") for tag in run.request.system_tags)
    return {
        **{name: value for name, _, value in said},
        "script": run.graph.file,
        "code": run.code_digest,
    }
