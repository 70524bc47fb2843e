"""What a run gives its tasks: parameters by name; a file is loaded when a step reads it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from eventflow.authoring.include_file import IncludedFile, IncludeFile
from eventflow.authoring.members import parameters_of
from eventflow.model.payload import decode_value
from eventflow.store.artifacts import ref_from_text, save_values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from eventflow.store.artifacts import ArtifactRef
    from eventflow.store.port import Store

__all__ = ["given", "save_made"]


def given(
    flow_class: type, texts: Mapping[str, str], load: Callable[[ArtifactRef], object]
) -> dict[str, object]:
    """The values of a run's parameters, of which `texts` has what the run carries."""
    declared = parameters_of(flow_class).values()
    files = {each.name for each in declared if isinstance(each, IncludeFile)}
    return {
        name: IncludedFile(ref_from_text(name, text), load) if name in files else decode_value(text)
        for name, text in texts.items()
    }


def save_made(store: Store, project: str, made: Mapping[str, object]) -> dict[str, ArtifactRef]:
    """As `save_values`; an included file, whose content is in the store, becomes an artifact by
    its reference.

    Raises:
        ArtifactNotStorable: as of `save_values`.
    """
    files = {name: each for name, each in made.items() if isinstance(each, IncludedFile)}
    rest = {name: value for name, value in made.items() if name not in files}
    refs = {name: replace(file.ref, name=name) for name, file in files.items()}
    return {**save_values(store, project, rest), **refs}
