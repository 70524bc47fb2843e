"""`merge_artifacts`: a join takes over the artifacts on which its inputs agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventflow.authoring.inputs import Input
from eventflow.errors import InvalidMerge, MissingInMergeArtifacts, UnhandledInMergeArtifacts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

__all__ = ["merged"]


def merged(
    inputs: Iterable[Input],
    *,
    own: Collection[str],
    include: Collection[str],
    exclude: Collection[str],
) -> dict[str, Input]:
    """For each artifact to take over, by name, an input that has it; no value is loaded.

    `own` are what the join has set already, and what is the same in every step: left out, as is
    what begins with `_`.

    Raises:
        InvalidMerge: what is given is not what it has to be, or `include` and `exclude` both are.
        UnhandledInMergeArtifacts: inputs differ in some; its `artifact_names` has them.
        MissingInMergeArtifacts: no input has some that are included.
    """
    for word, names in (("include", include), ("exclude", exclude)):
        if isinstance(names, str):
            raise InvalidMerge(f"{word}= takes a list of names: write {word}=[{names!r}].")
    if include and exclude:
        raise InvalidMerge("merge_artifacts takes include= or exclude=, not both.")
    versions: dict[str, set[str]] = {}
    found: dict[str, Input] = {}
    for each in _checked(inputs):
        for name in each._artifacts:
            if _is_wanted(name, own, include, exclude):
                versions.setdefault(name, set()).add(each._artifacts.version(name))
                found.setdefault(name, each)
    missing = sorted(set(include) - found.keys() - set(own))
    if missing:
        raise MissingInMergeArtifacts(missing)
    differing = sorted(name for name, digests in versions.items() if len(digests) > 1)
    if differing:
        raise UnhandledInMergeArtifacts(differing)
    return found


def _checked(inputs: Iterable[Input]) -> Iterator[Input]:
    mistake = "merge_artifacts takes the inputs of the join, or a list of some of them, not"
    try:
        each_of = iter(inputs)
    except TypeError:
        raise InvalidMerge(f"{mistake} {inputs!r}: write merge_artifacts(inputs).") from None
    for each in each_of:
        if not isinstance(each, Input):
            raise InvalidMerge(f"{mistake} {each!r} among them: write merge_artifacts(inputs).")
        yield each


def _is_wanted(
    name: str, own: Collection[str], include: Collection[str], exclude: Collection[str]
) -> bool:
    if name.startswith("_") or name in own or name in exclude:
        return False
    return not include or name in include
