"""Whether two versions of a schema read each other's records (Avro 1.12, Schema Resolution).

Stricter than Avro in one thing: a default has to be null or a plain value, since fastavro hands
out the default of a record, of bytes or of a timestamp as the JSON that it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["incompatibilities"]

_PROMOTIONS = {
    "int": {"long", "float", "double"},
    "long": {"float", "double"},
    "float": {"double"},
    "string": {"bytes"},
    "bytes": {"string"},
}
_PRIMITIVES = {"null", "boolean", "int", "long", "float", "double", "bytes", "string"}
_PLAIN = {"boolean", "int", "long", "float", "double", "string", "array", "map"}


def incompatibilities(old: Any, new: Any) -> tuple[str, ...]:
    """Why records of one cannot be read by the other, in either direction; empty when they can."""
    forwards = _Reading("old records by the new schema", old, new)
    backwards = _Reading("new records by the old schema", new, old)
    return (*forwards.problems(), *backwards.problems())


@dataclass(frozen=True)
class _Reading:
    """Reading records of `writer` by `reader`."""

    direction: str
    writer: Any
    reader: Any
    writer_types: dict[str, Any] = field(default_factory=dict)
    reader_types: dict[str, Any] = field(default_factory=dict)

    def problems(self) -> tuple[str, ...]:
        self.writer_types.update(_definitions(self.writer))
        self.reader_types.update(_definitions(self.reader))
        return tuple(
            f"{self.direction}: {problem}"
            for problem in self._compare(self.writer, self.reader, self.reader["name"])
        )

    def _compare(self, writer: Any, reader: Any, path: str) -> Iterator[str]:
        writer = _resolved(writer, self.writer_types)
        reader = _resolved(reader, self.reader_types)
        if isinstance(writer, list):
            for branch in writer:
                yield from self._compare(branch, reader, path)
        elif isinstance(reader, list):
            if all(any(self._compare(writer, branch, path)) for branch in reader):
                yield f"{path}: no branch of the union takes {_kind(writer)}"
        elif _logical(writer) != _logical(reader):
            yield f"{path}: {_logical(writer)} is not {_logical(reader)}"
        elif _kind(reader) in _PRIMITIVES or _kind(writer) != _kind(reader):
            if _kind(reader) not in {_kind(writer)} | _PROMOTIONS.get(_kind(writer), set()):
                yield f"{path}: {_kind(writer)} is not read as {_kind(reader)}"
        else:
            yield from self._compare_structure(writer, reader, path)

    def _compare_structure(self, writer: Any, reader: Any, path: str) -> Iterator[str]:
        match _kind(reader):
            case "record":
                yield from self._compare_record(writer, reader, path)
            case "array":
                yield from self._compare(writer["items"], reader["items"], f"{path}[]")
            case "map":
                yield from self._compare(writer["values"], reader["values"], f"{path}{{}}")
            case "enum":
                unknown = set(writer["symbols"]) - set(reader["symbols"])
                if unknown and "default" not in reader:
                    yield f"{path}: unknown symbols {sorted(unknown)}"
            case "fixed":
                if (writer["name"], writer["size"]) != (reader["name"], reader["size"]):
                    yield f"{path}: another fixed"

    def _compare_record(self, writer: Any, reader: Any, path: str) -> Iterator[str]:
        if writer["name"] not in {reader["name"], *reader.get("aliases", ())}:
            yield f"{path}: {writer['name']} is not {reader['name']}"
        written = {each["name"]: each for each in writer["fields"]}
        for each in reader["fields"]:
            names = (each["name"], *each.get("aliases", ()))
            name = next((name for name in names if name in written), None)
            if name is not None:
                yield from self._compare(
                    written[name]["type"], each["type"], f"{path}.{each['name']}"
                )
            elif not self._has_plain_default(each):
                yield f"{path}.{each['name']}: no plain default for records without it"

    def _has_plain_default(self, each: Mapping[str, Any]) -> bool:
        if "default" not in each:
            return False
        schema = _resolved(each["type"], self.reader_types)
        if isinstance(schema, list):
            return each["default"] is None
        return _logical(schema) is None and _kind(schema) in _PLAIN


def _definitions(schema: Any) -> Iterator[tuple[str, Any]]:
    """The named types that a schema defines, anywhere in it."""
    if isinstance(schema, list):
        for branch in schema:
            yield from _definitions(branch)
    elif isinstance(schema, dict):
        if "name" in schema:
            yield schema["name"], schema
        for each in schema.get("fields", ()):
            yield from _definitions(each["type"])
        for key in ("items", "values", "type"):
            yield from _definitions(schema.get(key))


def _resolved(schema: Any, types: Mapping[str, Any]) -> Any:
    return types.get(schema, schema) if isinstance(schema, str) else schema


def _kind(schema: Any) -> str:
    return str(schema["type"] if isinstance(schema, dict) else schema)


def _logical(schema: Any) -> str | None:
    return schema.get("logicalType") if isinstance(schema, dict) else None
