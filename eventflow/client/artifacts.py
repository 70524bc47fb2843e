"""Artifacts of a task: `DataArtifact` is one version, `TaskData` gives the values by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventflow.client.named import Named
from eventflow.client.scope import locate_run
from eventflow.context import world
from eventflow.errors import ArtifactMissing, ItemMissing, NotFound, ObjectMissing
from eventflow.store.artifacts import load_value, read_task
from eventflow.store.attempts import attempt_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from eventflow.model.task import TaskKey
    from eventflow.store.artifacts import TaskRecord
    from eventflow.store.layout import RunPlace

__all__ = ["Artifacts", "DataArtifact", "TaskData", "record_of"]


def record_of(place: RunPlace, key: TaskKey) -> TaskRecord:
    """What an attempt left.

    Raises:
        NotFound: it left nothing, since it did not succeed, or not yet.
    """
    try:
        return read_task(world().store, place, key)
    except ObjectMissing as error:
        raise NotFound(
            f"{place.flow}/{place.run_id}/{key.step}/{key.task} has no artifacts: it has not"
            " succeeded. Its stderr may say why."
        ) from error


class DataArtifact(Named):
    """One version of an artifact: written once, never changed.

    `DataArtifact("Flow/run/step/task/name")`.
    """

    __slots__ = ("_finished_at", "_from", "_key", "_ref")

    def __init__(self, pathspec: str) -> None:
        """Find it.

        Raises:
            NotFound: there is no such run or task, or the task has not succeeded.
            ArtifactMissing: the task has no such artifact.
        """
        place, (step, task, name) = locate_run(pathspec, below=3)
        self._name(place, record_of(place, attempt_of(world().store, place, step, task)), name)

    @classmethod
    def of(cls, place: RunPlace, record: TaskRecord, name: str) -> DataArtifact:
        """The artifact of that name in what a task left.

        Raises:
            ArtifactMissing: the task has none.
        """
        artifact = cls.__new__(cls)
        artifact._name(place, record, name)
        return artifact

    @property
    def data(self) -> Any:
        """The value, its bytes verified by their digest.

        Raises:
            ArtifactNotReadable: it is a pickle and this reader refuses pickles, or what it needs
                is not importable here.
            CorruptObject: its bytes changed.
        """
        connected = world()
        return load_value(
            connected.store,
            self._place.namespace.partition("/")[0],
            self._ref,
            allow_pickle=connected.allow_pickle,
        )

    @property
    def sha(self) -> str:
        """The SHA-256 of the encoded value, in hexadecimal: equal ones are the same version."""
        return self._ref.digest

    @property
    def size(self) -> int:
        """Bytes of the encoded value."""
        return self._ref.size_bytes

    @property
    def type_name(self) -> str:
        """The type of the value, for people: `dict`, `numpy.ndarray`."""
        return self._ref.type_name

    @property
    def finished_at(self) -> datetime:
        """When the task that has it ended."""
        return self._finished_at

    @property
    def created_at(self) -> datetime:
        """The same."""
        return self._finished_at

    def _name(self, place: RunPlace, record: TaskRecord, name: str) -> None:
        if name not in record.artifacts:
            there = ", ".join(sorted(record.artifacts)) or "none"
            where = f"{place.flow}/{place.run_id}/{record.key.step}/{record.key.task}"
            raise ArtifactMissing(f"{where} has no artifact {name!r}; it has: {there}.")
        Named.__init__(self, place, record.key.step, record.key.task, name)
        self._ref, self._finished_at = record.artifacts[name], record.finished_at
        self._key, self._from = record.key, record.origin or None

    def _origin(self) -> str | None:
        return self._from


class Artifacts:
    """The artifacts of a task, each as an attribute or by name; no value is loaded.

    A loop gives those whose names do not begin with `_`, in the order of their names.
    """

    def __init__(self, place: RunPlace, record: TaskRecord) -> None:
        self._place, self._record = place, record

    def __getattr__(self, name: str) -> DataArtifact:
        if name.startswith("__") or name in {"_place", "_record"}:  # asked by copy and pickle
            raise AttributeError(name)
        return DataArtifact.of(self._place, self._record, name)

    def __getitem__(self, name: str) -> DataArtifact:
        if name not in self:
            there = ", ".join(sorted(each.id for each in self)) or "none"
            raise ItemMissing(f"There is no artifact {name!r}; there is: {there}.")
        return DataArtifact.of(self._place, self._record, name)

    def __iter__(self) -> Iterator[DataArtifact]:
        for name in sorted(self._record.artifacts):
            if not name.startswith("_"):
                yield DataArtifact.of(self._place, self._record, name)

    def __contains__(self, name: object) -> bool:
        return name in self._record.artifacts

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __dir__(self) -> list[str]:
        return sorted(self._record.artifacts)

    def __repr__(self) -> str:
        return f"<artifacts: {', '.join(each.id for each in self)}>"


class TaskData:
    """The values of a task's artifacts, each as an attribute; loaded, and verified, when read."""

    def __init__(self, artifacts: Artifacts) -> None:
        self._artifacts = artifacts

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_artifacts":  # asked by copy and pickle
            raise AttributeError(name)
        return getattr(self._artifacts, name).data

    def __contains__(self, name: object) -> bool:
        return name in self._artifacts

    def __dir__(self) -> list[str]:
        return dir(self._artifacts)

    def __repr__(self) -> str:
        return f"<data: {', '.join(each.id for each in self._artifacts)}>"
