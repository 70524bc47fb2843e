"""Every error that eventflow raises, by who has to act.

    EventflowError
    ├── AuthorError                the author of a flow or of an event acts
    │   ├── InvalidFlow            ├── InvalidName
    │   │   ├── InvalidConfig      ├── InvalidParameter
    │   │   └── InvalidTransition  │
    │   ├── InvalidTrigger         ├── InvalidPayload
    │   ├── ArtifactNotStorable    │   └── EventTooLarge
    │   ├── ArtifactNotReadable    ├── ArtifactMissing
    │   ├── InvalidDecorator       ├── CardMissing
    │   ├── InvalidPackages        ├── InvalidTag
    │   ├── InputMissing           ├── UnknownProvider
    │   ├── ArtifactReadOnly       ├── InvalidOption
    │   │   └── ConfigReadOnly     └── NotFound
    │   ├── NameMissing                ├── Ambiguous
    │   ├── CallFailed                 ├── ItemMissing
    │   ├── InvalidS3Request           └── S3KeyMissing
    │   │   ├── InvalidS3Address
    │   │   └── S3Closed
    │   └── InvalidMerge
    │       ├── MissingInMergeArtifacts
    │       └── UnhandledInMergeArtifacts
    ├── OperatorError              whoever runs eventflow acts
    │   ├── InvalidSettings        ├── TopicMismatch
    │   ├── BusUnreachable         ├── BusForbidden
    │   ├── StoreUnreachable       ├── StoreForbidden
    │   ├── BucketMissing          ├── StoreUnsuitable
    │   ├── ObjectMissing          ├── CorruptObject
    │   ├── RecordTooLarge         ├── AlreadyRunning
    │   ├── InvalidSecret          ├── EnvironmentUnavailable
    │   └── DeployFenced
    ├── Retriable                  nobody acts: the caller tries again from its last position
    │   ├── Fenced                 ├── BusBusy
    │   └── TimedOut
    ├── CommandFailed              a command in another process failed: its stderr says who acts
    └── UndecodableRecord          the record goes to `dead-letters`, its partition goes on
        └── UnknownSchema          after its schema was looked up in `schemas`

The message of an error says what is wrong and what to do about it. Errors of drivers are
translated where they surface, always `from` the original one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "AlreadyRunning",
    "Ambiguous",
    "ArtifactMissing",
    "ArtifactNotReadable",
    "ArtifactNotStorable",
    "ArtifactReadOnly",
    "AuthorError",
    "BucketMissing",
    "BusBusy",
    "BusForbidden",
    "BusUnreachable",
    "CallFailed",
    "CardMissing",
    "CommandFailed",
    "ConfigReadOnly",
    "CorruptObject",
    "DeployFenced",
    "EnvironmentUnavailable",
    "EventTooLarge",
    "EventflowError",
    "Fenced",
    "FlowProblem",
    "InputMissing",
    "InvalidConfig",
    "InvalidDecorator",
    "InvalidFlow",
    "InvalidMerge",
    "InvalidName",
    "InvalidOption",
    "InvalidPackages",
    "InvalidParameter",
    "InvalidPayload",
    "InvalidS3Address",
    "InvalidS3Request",
    "InvalidSecret",
    "InvalidSettings",
    "InvalidTag",
    "InvalidTransition",
    "InvalidTrigger",
    "ItemMissing",
    "MissingInMergeArtifacts",
    "NameMissing",
    "NotFound",
    "ObjectMissing",
    "OperatorError",
    "RecordTooLarge",
    "Retriable",
    "S3Closed",
    "S3KeyMissing",
    "StoreForbidden",
    "StoreUnreachable",
    "StoreUnsuitable",
    "TimedOut",
    "TopicMismatch",
    "UndecodableRecord",
    "UnhandledInMergeArtifacts",
    "UnknownProvider",
    "UnknownSchema",
]


class EventflowError(Exception):
    """The root of everything that eventflow raises on purpose."""

    exit_code = 1


class AuthorError(EventflowError):
    """The author of a flow or of an event has to change something."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class FlowProblem:
    """One mistake in a flow, with the place to mend it."""

    message: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


class InvalidFlow(AuthorError):
    """The graph of a flow is wrong; `problems` has every mistake, in the order of the file."""

    def __init__(self, problems: Sequence[FlowProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class InvalidConfig(InvalidFlow):
    """A configuration has no value, or one that cannot be read, or an expression of it fails;
    `problems` has every one."""


class InvalidTransition(InvalidFlow):
    """A step goes on by a value that leads nowhere: a foreach without items, a condition without a
    case for it. Another attempt may come to another value."""


class InvalidName(AuthorError):
    """A project, branch, flow, step, event or namespace has a name that it cannot have."""


class InvalidDecorator(AuthorError):
    """A decorator that was given as text, with `--with`, is none, or not as it has to be."""


class InvalidTrigger(AuthorError):
    """What is said of a trigger cannot be deployed."""


class InvalidParameter(AuthorError):
    """A parameter has no value, or one that is not of its type."""


class InvalidTag(AuthorError):
    """A tag of a run that it cannot have, or cannot lose."""


class InvalidOption(AuthorError):
    """A command has no option of that name, or the option cannot have that value."""


class UnknownProvider(AuthorError, AttributeError):
    """Flows are not deployed to that: `Deployer` has one provider, `eventflow`."""


class InvalidPayload(AuthorError):
    """A payload holds a value that an event cannot carry."""


class EventTooLarge(InvalidPayload):
    """An event is over the limit of 512 KiB; put the data into the store and publish its key."""


class ArtifactNotStorable(AuthorError):
    """No encoder takes the value of an artifact. `place` is the file and line that set it, where
    that is known."""

    def __init__(self, message: str, *, artifact: str = "") -> None:
        self.artifact = artifact
        self.place: tuple[str, int] | None = None
        super().__init__(message)


class ArtifactNotReadable(AuthorError):
    """A value cannot be made again here: its class is missing, or unpickling is switched off."""


class ArtifactReadOnly(AuthorError, AttributeError):
    """A step sets what it can only read: a parameter, a constant of the class, a step."""


class ConfigReadOnly(ArtifactReadOnly, TypeError):
    """A step changes a configuration. It is a TypeError, as for any value that is read-only."""


class ArtifactMissing(AuthorError, AttributeError):
    """A task has no artifact of that name. It is an AttributeError, so that `hasattr` works."""


class InputMissing(AuthorError, IndexError):
    """A join has no input of that number. It is an IndexError, so that loops end."""


class CardMissing(AuthorError, AttributeError):
    """A step adds to a card that it does not have."""


class CallFailed(AuthorError):
    """A call of `parallel_map` failed, in its process: with an error that cannot be raised here,
    or the process ended."""


class NameMissing(AuthorError, ImportError):
    """A flow imports a name of Metaflow that is not here; the message says what to do instead."""


class InvalidMerge(AuthorError):
    """A step merges artifacts that it cannot merge."""


class UnhandledInMergeArtifacts(InvalidMerge):
    """The inputs of a join differ in artifacts; `artifact_names` has their names."""

    def __init__(self, artifact_names: Sequence[str]) -> None:
        self.artifact_names = list(artifact_names)
        super().__init__(
            f"The inputs have different values of {', '.join(artifact_names)}: set each on self"
            " before merge_artifacts, or leave it out with exclude=."
        )


class MissingInMergeArtifacts(InvalidMerge):
    """No input of a join has artifacts that are to be merged; `artifact_names` has their names."""

    def __init__(self, artifact_names: Sequence[str]) -> None:
        self.artifact_names = list(artifact_names)
        super().__init__(
            f"No input has {', '.join(artifact_names)}: take it out of include=, or set it in a"
            " step before the join."
        )


class InvalidPackages(AuthorError):
    """The packages of a step are not to be had: unknown, in conflict, or not installable."""


class NotFound(AuthorError):
    """No flow, run, step, task, artifact, deployment or event of that name is visible."""

    exit_code = 3


class Ambiguous(NotFound):
    """A short name fits several things; the message lists them in full."""


class ItemMissing(NotFound, KeyError):
    """A run has no such step, a step no such task, a task no such artifact. It is a KeyError, as
    for any `[…]`."""

    def __str__(self) -> str:
        return Exception.__str__(self)  # that of KeyError has quotes around it


class S3KeyMissing(NotFound):
    """S3 has no object of a key that was asked for; `return_missing=True` gives it as missing."""


class InvalidS3Request(AuthorError):
    """What the S3 data tool is asked for, or given, cannot be."""


class InvalidS3Address(InvalidS3Request):
    """A url, key or root that the S3 data tool cannot use."""


class S3Closed(InvalidS3Request):
    """The files that the S3 data tool fetched are gone: its `with` block has ended."""


class OperatorError(EventflowError):
    """Whoever runs eventflow has to act: settings, permissions, servers."""

    exit_code = 5


class InvalidSettings(OperatorError):
    """A setting has a value that it cannot have, or one that the protocol sets itself."""


class TopicMismatch(OperatorError):
    """A topic is missing or differs from what it has to be; the message says in what."""


class BusUnreachable(OperatorError):
    """The bus does not answer."""


class BusForbidden(OperatorError):
    """The bus refuses this principal."""


class StoreUnreachable(OperatorError):
    """The store does not answer."""


class StoreForbidden(OperatorError):
    """The store refuses these credentials."""


class BucketMissing(OperatorError):
    """The bucket or folder of the store does not exist."""


class StoreUnsuitable(OperatorError):
    """The store cannot do what eventflow builds on: a conditional put with exactly one winner."""


class ObjectMissing(OperatorError):
    """The store has no object of that key."""


class CorruptObject(OperatorError):
    """An object of the store is not what its digest says."""


class RecordTooLarge(OperatorError):
    """The bus refused a record over its size limit; nothing of it was written."""


class InvalidSecret(OperatorError):
    """A source of `@secrets` gives no value that can be used; the message has no value either."""


class AlreadyRunning(OperatorError):
    """Another process holds this state folder; the message has its pid."""


class EnvironmentUnavailable(OperatorError):
    """An environment cannot be made here and now: no uv, no such Python, no package index."""


class DeployFenced(OperatorError):
    """Another deploy of the same flow took over; nothing was changed."""

    exit_code = 4


class Retriable(EventflowError):
    """Nobody has to act: the work is taken up again from the last committed position."""

    exit_code = 6


class Fenced(Retriable):
    """Somebody else owns this partition or transactional id now; nothing was written."""


class BusBusy(Retriable):
    """The bus did not take a write in time; nothing of it is visible, now or later."""


class EnvironmentInUse(Retriable):
    """An environment of packages is used or being built: it was not removed."""


class TimedOut(Retriable, TimeoutError):
    """What was waited for did not come in the time that was given; it may come still."""


class CommandFailed(EventflowError):
    """A command of a flow, run in a process of its own, ended with an error.

    `returncode` is that of the process, `stderr` what it said.
    """

    def __init__(self, message: str, *, returncode: int, stderr: str) -> None:
        super().__init__(message)
        self.returncode = returncode
        self.stderr = stderr


class UndecodableRecord(EventflowError):
    """A record cannot be read; `reason` is a short machine-readable word for its dead letter."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class UnknownSchema(UndecodableRecord):
    """A record was written with a schema that is not known here; the `schemas` topic may have it.

    `fingerprint` is its CRC-64-AVRO, 8 bytes as they stand in the record.
    """

    def __init__(self, fingerprint: bytes) -> None:
        self.fingerprint = fingerprint
        super().__init__(
            f"No schema of fingerprint {fingerprint.hex()} is known.", reason="unknown-schema"
        )
