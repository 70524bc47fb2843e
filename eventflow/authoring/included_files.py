"""From the paths of included files to what a run carries of them: references to their contents."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventflow.authoring.configs import resolved_parameters
from eventflow.authoring.include_file import IncludeFile
from eventflow.authoring.source import place_of_attribute
from eventflow.errors import InvalidParameter
from eventflow.store.artifacts import ref_to_text, save_apart

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from eventflow.authoring.deploy_context import DeployContext
    from eventflow.store.port import Store

__all__ = ["computed", "read_file", "read_files", "store_files"]


def read_files(
    flow_class: type, context: DeployContext, given: Mapping[str, str]
) -> dict[str, str | bytes]:
    """The contents of the included files of a flow, by the name of their parameter: of `given`
    paths, else of the defaults, of which functions are asked. Nothing is written.

    Raises:
        InvalidParameter: all that cannot be read, with the reason.
    """
    contents: dict[str, str | bytes] = {}
    mistakes: list[str] = []
    for attribute, declared in resolved_parameters(flow_class).items():
        if not isinstance(declared, IncludeFile):
            continue
        name = declared.name
        try:
            path = given.get(name, declared.default)
            if callable(path):
                path = computed(path, replace(context, parameter_name=name))
            if path is not None:
                contents[name] = read_file(path, declared.text_encoding)
        except InvalidParameter as error:
            file, line = place_of_attribute(flow_class, attribute)
            place = "" if name in given else f"{file}:{line}: "
            mistakes.append(f"{place}Parameter {name!r}: {error}")
    if mistakes:
        raise InvalidParameter("\n".join(mistakes))
    return contents


def computed(default: Callable[[DeployContext], Any], context: DeployContext) -> Any:
    """What a default that is a function says.

    Raises:
        InvalidParameter: the function failed.
    """
    try:
        return default(context)
    except Exception as error:
        raise InvalidParameter(
            f"The function that is the default of parameter {context.parameter_name!r} failed:"
            f" {type(error).__name__}: {error}."
        ) from error


def store_files(store: Store, project: str, contents: Mapping[str, str | bytes]) -> dict[str, str]:
    """Put contents into the store; what a run or a deployment carries of each, by name. Equal
    contents are one object, and on return all are durable."""
    refs = save_apart(store, project, contents)
    return {name: ref_to_text(ref) for name, ref in refs.items()}


def read_file(path: Any, encoding: str | None) -> str | bytes:
    """The content of an included file: text in that encoding, without one bytes.

    Raises:
        InvalidParameter: it cannot be read.
    """
    if not isinstance(path, str | Path):
        raise InvalidParameter(f"its default is the path of a file, not {path!r}.")
    file = Path(path).expanduser()
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InvalidParameter(
            f"{file.absolute()} cannot be read: {error.strerror or error}. Paths are relative to"
            " the folder in which the command runs."
        ) from error
    return data if encoding is None else _text(file, data, encoding)


def _text(file: Path, data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise InvalidParameter(
            f"{file.absolute()} is no text in {encoding}: byte {error.start} is"
            f" {data[error.start]:#04x}. Say its encoding= in the flow, or is_text=False for bytes."
        ) from error
