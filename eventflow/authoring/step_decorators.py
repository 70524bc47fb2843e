"""The decorators of steps, with Metaflow's names and defaults.

They say how a step is to be executed; `decorator_policy` makes of it what the driver obeys, and a
task asks for what it obeys itself: `@secrets`, `@card`, and what `@catch` prints.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from eventflow.authoring.attribute_values import (
    amount,
    count,
    factor,
    flag,
    listing,
    optional,
    text,
    variables,
)
from eventflow.authoring.decorator import Attribute, StepDecorator
from eventflow.authoring.secret_source import secret_source
from eventflow.errors import InvalidDecorator

__all__ = [
    "BY_NAME",
    "MAX_RETRIES",
    "card",
    "catch",
    "environment",
    "parallel",
    "resources",
    "retry",
    "secrets",
    "timeout",
]

MAX_RETRIES: Final = 4
"""A task has 6 attempts at most, as in Metaflow: the first, 4 retries, and the one of `@catch`."""

_CARD_TYPES = ("default", "blank")
_CARD_ID = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_CARD_OPTIONS = frozenset({"rows"})


def _retry_mistakes(given: Mapping[str, Any]) -> Iterator[str]:
    if given["times"] > MAX_RETRIES:
        yield (
            f"@retry(times={given['times']}) is more than {MAX_RETRIES}: a task has 6 attempts at"
            " most, the first, its retries, and one for @catch."
        )


def _timeout_mistakes(given: Mapping[str, Any]) -> Iterator[str]:
    if not any(given.values()):
        yield "@timeout says no time: write @timeout(minutes=5)."


def _secrets_mistakes(given: Mapping[str, Any]) -> Iterator[str]:
    if not given["sources"]:
        yield "@secrets names no source: write @secrets(sources=['env.DB_PASSWORD'])."
    for each in given["sources"]:
        try:
            secret_source(each, given["role"])
        except InvalidDecorator as error:
            yield f"@secrets: {error}."


def _card_mistakes(given: Mapping[str, Any]) -> Iterator[str]:
    if given["type"] not in _CARD_TYPES:
        yield f"@card(type={given['type']!r}): the types of cards are {', '.join(_CARD_TYPES)}."
    if given["id"] is not None and not _CARD_ID.fullmatch(given["id"]):
        yield f"@card(id={given['id']!r}): use letters, digits and '_', and a letter first."
    if not given["timeout"]:
        yield "@card: timeout is in seconds, more than 0."


def _card_options(value: object) -> dict[str, object]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidDecorator(f"a dict, not {type(value).__name__}")
    unknown = sorted(str(each) for each in value.keys() - _CARD_OPTIONS)
    if unknown:
        raise InvalidDecorator(f"a dict with 'rows' only, not {', '.join(unknown)}")
    return {name: count(each) for name, each in value.items()}


retry: Final = StepDecorator(
    "retry",
    {
        "times": Attribute(3, count),
        "minutes_between_retries": Attribute(2.0, amount),
        "backoff": Attribute(1.0, factor),
    },
    """Repeat a failed task up to `times` times, at most 4, with a wait between that grows by the
    factor `backoff` each time. `times=0` is for a step that must not be repeated.""",
    _retry_mistakes,
)

catch: Final = StepDecorator(
    "catch",
    {"var": Attribute(None, optional(text)), "print_exception": Attribute(True, flag)},
    """Let the run go on when the task has failed for the last time. What failed is in the artifact
    `var`, which is None when nothing did; the artifacts that the step would have made are not
    there.""",
)

timeout: Final = StepDecorator(
    "timeout",
    {
        "seconds": Attribute(0.0, amount),
        "minutes": Attribute(0.0, amount),
        "hours": Attribute(0.0, amount),
    },
    """Kill an attempt, with all that it started, after this time: the sum of all three. It has
    failed then, and `@retry` and `@catch` see it so.""",
    _timeout_mistakes,
)

resources: Final = StepDecorator(
    "resources",
    {
        name: Attribute(None, optional(amount))
        for name in ("cpu", "gpu", "disk", "memory", "shared_memory")
    },
    """What a task asks of its machine: processors, GPUs, and megabytes of disk, of memory and of
    shared memory. Processes on this machine take no notice; executors that can will.""",
)

environment: Final = StepDecorator(
    "environment",
    {"vars": Attribute({}, variables)},
    """Environment variables of a task. They are kept with the graph: for secrets there is
    `@secrets`.""",
)

secrets: Final = StepDecorator(
    "secrets",
    {
        "sources": Attribute((), listing),
        "allow_override": Attribute(False, flag),
        "role": Attribute(None, optional(text)),
    },
    """Have secrets in the environment of a task, fetched right before the step runs and kept
    nowhere. `allow_override` lets them replace variables that are set already.""",
    _secrets_mistakes,
)

card: Final = StepDecorator(
    "card",
    {
        "type": Attribute("default", text),
        "id": Attribute(None, optional(text)),
        "options": Attribute({}, _card_options),
        "timeout": Attribute(45.0, amount),
        "save_errors": Attribute(True, flag),
    },
    """Make a report of each task, an HTML page: what it was given, what it made, how long it took,
    and what the step adds with `current.card.append(…)`, which is all of a card of the type
    `blank`. A report that is not ready after `timeout` seconds is left out. With `save_errors` a
    failed task has one too.""",
    _card_mistakes,
)

parallel: Final = StepDecorator(
    "parallel",
    {},
    """Say that a step runs as a gang, which `num_parallel` in the step before starts. It changes
    nothing: `check` sees to it that every way into the step says so, and `current.parallel` has
    the gang.""",
)

BY_NAME: Final = {
    each.name: each for each in (retry, catch, timeout, resources, environment, secrets, card)
}
"""Those that can be given with `--with`. `@parallel` cannot: it is true of one step only."""
