"""What a task is given, without a store: artifacts that note what is loaded, inputs of a join."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from eventflow.authoring.inputs import Input, Inputs

__all__ = ["Given", "joined"]


class Given(Mapping[str, object]):
    """Artifacts that note which of them were loaded; equal values are one version."""

    def __init__(self, **values: object) -> None:
        self._values, self.loaded = values, list[str]()

    def version(self, name: str) -> str:
        return repr(self._values[name])

    def __getitem__(self, name: str) -> object:
        self.loaded.append(name)
        return self._values[name]

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def joined(*inputs: Input) -> Inputs:
    """The inputs of a join."""
    return Inputs([each._step for each in inputs], inputs.__getitem__)
