"""How payload fields become parameters of a run (docs/protocols.md §5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from eventflow.errors import InvalidParameter, InvalidPayload
from eventflow.model.decision import Verdict
from eventflow.model.payload import MISSING, convert, field, is_missing

if TYPE_CHECKING:
    from eventflow.model.deployment import Deployment, ParameterSpec
    from eventflow.model.occurrence import Occurrence
    from eventflow.model.payload import Payload
    from eventflow.model.trigger import FieldMapping

__all__ = ["Misfit", "defaults", "map_parameters"]


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why an event does not fit a deployment: NOT_MATCHED or DEAD_LETTER, and the reason."""

    verdict: Verdict
    reason: str


def map_parameters(deployment: Deployment, occurrence: Occurrence) -> dict[str, str] | Misfit:
    """The parameters that an event gives a deployment, by name, as JSON text.

    The payload is read only when a field is mapped. A missing field is left out, so that the
    default counts, unless its parameter is required.
    """
    assert deployment.trigger is not None
    subscription = deployment.trigger.subscription(occurrence.cause.name)
    if subscription is None:
        return Misfit(Verdict.NOT_MATCHED, f"version {deployment.version} does not wait for it")
    if not subscription.mappings:
        return {}
    try:
        return _mapped(deployment, subscription.mappings, occurrence.fields)
    except (InvalidParameter, InvalidPayload) as error:
        return Misfit(Verdict.DEAD_LETTER, str(error))


def defaults(deployment: Deployment) -> dict[str, str]:
    """The defaults of a deployment's parameters, as JSON text."""
    return {spec.name: spec.default for spec in deployment.parameters if spec.default is not None}


def _mapped(
    deployment: Deployment, mappings: tuple[FieldMapping, ...], fields: Payload
) -> dict[str, str] | Misfit:
    specs = {spec.name: spec for spec in deployment.parameters}
    mapped: dict[str, str] = {}
    for mapping in mappings:
        spec = specs[mapping.parameter]
        text = _taken(spec, mapping.field, fields)
        if text is not None:
            mapped[spec.name] = text
        elif spec.is_required:
            return Misfit(Verdict.NOT_MATCHED, f"field {mapping.field} missing")
    return mapped


def _taken(spec: ParameterSpec, path: str, fields: Payload) -> str | None:
    value = field(fields, path)
    if value is MISSING or is_missing(value, spec.type):
        return None
    try:
        return convert(value, spec.type)
    except InvalidParameter as error:
        raise InvalidParameter(f"Parameter {spec.name}, field {path}: {error}") from error
