"""Shapes: a dataclass of the model as the plain values that Avro writes, and back.

A shape is derived from the annotations once; using it looks at no annotation. The fields
of a dataclass and of its schema have the same names; a test compares them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, is_dataclass
from datetime import datetime
from enum import StrEnum
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, TypeAlias, get_args, get_origin, get_type_hints

from eventflow.model.completion import Outcome
from eventflow.model.event import EventRecord, Publisher
from eventflow.model.graph import FlowGraph
from eventflow.model.offset import Offset
from eventflow.model.policy import StepPolicy
from eventflow.model.run import Cause, RunRequest
from eventflow.model.timetable import Timetable
from eventflow.model.trigger import Source, Trigger

__all__ = ["Convert", "Shape", "shape_of"]

_NAMESPACE = "eventflow"
_FARTHEST = 2**62

Convert: TypeAlias = Callable[[Any], Any]

# What the annotations of the model name, but only import for type checkers.
_HINTED = (
    *(Cause, EventRecord, FlowGraph, Offset, Outcome, Publisher, RunRequest, Source, StepPolicy),
    *(Timetable, Trigger, datetime),
)
_NAMES: dict[str, Any] = {each.__name__: each for each in _HINTED}


@dataclass(frozen=True, slots=True)
class Shape:
    """Both directions of one type; None where a value is written and read as it is."""

    to_avro: Convert | None = None
    from_avro: Convert | None = None


def shape_of(annotation: Any) -> Shape:
    """The shape of a dataclass of the model, or of an annotation in one."""
    origin = get_origin(annotation)
    if origin is UnionType:
        return _optional(annotation)
    if origin is tuple:
        return _sequence(shape_of(get_args(annotation)[0]))
    if origin is dict:
        return Shape(from_avro=dict)  # a default of the schema is one object for all
    return _of_class(annotation)


def _of_class(kind: Any) -> Shape:
    if is_dataclass(kind):
        return _record(kind)
    if issubclass(kind, StrEnum):
        return Shape(from_avro=kind)
    if kind is int:
        return Shape(from_avro=_countable)
    return Shape(to_avro=_aware) if kind is datetime else Shape()


def _record(kind: Any) -> Shape:
    shapes = {name: shape_of(hint) for name, hint in get_type_hints(kind, localns=_NAMES).items()}
    names = tuple(shapes)
    values = attrgetter(*names)
    outward = [(name, each.to_avro) for name, each in shapes.items() if each.to_avro]
    inward = [(name, each.from_avro) for name, each in shapes.items() if each.from_avro]

    def to_avro(record: Any) -> dict[str, Any]:
        fields = dict(zip(names, values(record), strict=True))
        for name, convert in outward:
            fields[name] = convert(fields[name])
        return fields

    def from_avro(fields: dict[str, Any]) -> Any:
        for name, convert in inward:
            fields[name] = convert(fields[name])
        return kind(**fields)

    return Shape(to_avro, from_avro)


def _optional(annotation: Any) -> Shape:
    inner: type = next(each for each in get_args(annotation) if each is not NoneType)
    shape = shape_of(inner)
    to_avro, from_avro = shape.to_avro, shape.from_avro
    if to_avro and is_dataclass(inner):
        to_avro = _named(f"{_NAMESPACE}.{inner.__name__}", to_avro)
    return Shape(to_avro and _unless_none(to_avro), from_avro and _unless_none(from_avro))


def _named(name: str, convert: Convert) -> Convert:
    # With the name said, fastavro need not validate the value to find its branch of the union.
    return lambda value: (name, convert(value))


def _unless_none(convert: Convert) -> Convert:
    return lambda value: None if value is None else convert(value)


def _sequence(item: Shape) -> Shape:
    to_avro, from_avro = item.to_avro, item.from_avro
    return Shape(
        to_avro and (lambda values: [to_avro(each) for each in values]),
        (lambda values: tuple([from_avro(each) for each in values])) if from_avro else tuple,
    )


def _countable(number: int) -> int:
    # Counts and offsets are counted on; fastavro takes 64 bits for an Avro int as well.
    if not -_FARTHEST < number < _FARTHEST:
        raise ValueError(f"{number} is no count or offset: it has more than 62 bits.")
    return number


def _aware(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone: times in records are aware.")
    return at
