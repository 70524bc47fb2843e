"""Dead letters: a record that could not be handled, kept whole with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from eventflow.model.log import Header
    from eventflow.model.offset import Offset

__all__ = ["DeadLetter"]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """The original record, and why and when it was given up.

    `reason` is a short machine-readable word, `message` says it for people. `key`, `value` and
    `headers` are the original ones. `origin` is where the original stands; its topic id is empty
    where it was not known. `deployment` is (namespace, flow, version) when only that one could
    not handle the record. Times are the broker's.
    """

    reason: str
    message: str
    origin: Offset
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]
    deployment: tuple[str, str, int] | None
    appended_at: datetime
    failed_at: datetime
