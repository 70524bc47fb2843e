"""Every key of the store, in one place (docs/protocols.md §7). Pure functions of names.

    projects/<project>/blobs/<2>/sha256-<digest>
    projects/<project>/environments/<2>/sha256-<digest of a request>
    projects/<project>/<branch>/<Flow>/runs/<run id>/
        {run.json, end.json, e<epoch>/…, live/…, tags/<inverted number>, downstream/…}
    projects/<project>/<branch>/<Flow>/{index,successful}/<inverted day>/<hour>/<ms>-<run id>
    projects/<project>/<branch>/<Flow>/tagged/<digest>/<inverted day>/<hour>/<ms>-<run id>
    flows/<Flow>/<project>~<branch>
    data/<project>/<branch>/<Flow>/<run id>/…                   what steps put with S3(run=self)
    lineage/<topic>.<topic id>/<partition>/<offset / 1000>/<offset % 1000>~<run id>…
    probes/<token>                                              for a moment, when a service starts

Inverted times and numbers have a fixed width, so that the first key in order is the latest one.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from eventflow.model.namespace import Namespace
from eventflow.model.task import TaskKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventflow.model.offset import Offset

__all__ = [
    "RunPlace",
    "blob_key",
    "card_id_of_key",
    "environment_key",
    "flow_index_prefix",
    "flow_key",
    "flow_of_key",
    "index_key",
    "lineage_key",
    "lineage_prefix",
    "lineage_prefixes",
    "lineage_topic_prefix",
    "may_be_of",
    "probe_key",
    "run_id_of_index_key",
    "run_of_downstream_key",
    "run_of_lineage_key",
    "tagged_key",
    "tagged_prefix",
    "topic_id_of_lineage_key",
]

OFFSETS_PER_BLOCK = 1000
_MANY = "many/"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS_PER_HOUR = 3_600_000
_MS_PER_DAY = 24 * _MS_PER_HOUR
_WIDTH_MS = 13
_MAX_MS = 10**_WIDTH_MS
_MOST_GENERATIONS = 10**8
_TAG_DIGEST = 20
_LIVE = re.compile(r"e(?P<epoch>\d+)~(?P<step>[^~]+)~(?P<task>[^~]+)~(?P<attempt>\d+)")


@dataclass(frozen=True, slots=True)
class RunPlace:
    """Where everything of one run lies."""

    namespace: str
    flow: str
    run_id: str

    @property
    def root(self) -> str:
        """The prefix of all its objects, with the slash."""
        return f"projects/{self.namespace}/{self.flow}/runs/{self.run_id}/"

    @property
    def run(self) -> str:
        """Causes, roots, parameters, code, versions."""
        return f"{self.root}run.json"

    @property
    def end(self) -> str:
        """The one end."""
        return f"{self.root}end.json"

    @property
    def data(self) -> str:
        """The prefix of what its steps put with the S3 data tool, without the slash. eventflow
        has no key of its own below `data/`, so that these may be anything."""
        return f"data/{self.namespace}/{self.flow}/{self.run_id}"

    def epoch(self, epoch: int) -> str:
        """The prefix of what one epoch wrote, with the slash."""
        return f"{self.root}e{epoch}/"

    def attempt(self, epoch: int, step: str, task: str, attempt: int) -> str:
        """The prefix of one attempt of a task, with the slash: artifacts.json, output, cards."""
        return f"{self.epoch(epoch)}{step}/{task}/{attempt}/"

    def artifacts(self, task: TaskKey) -> str:
        """What an attempt made; put last, so it is there when all of it is."""
        return f"{self.root}{task.path}/artifacts.json"

    def card(self, task: TaskKey, card_id: str | None) -> str:
        """A report of an attempt; without an id `card.html`."""
        return f"{self.card_prefix(task)}{f'-{card_id}' if card_id else ''}.html"

    def card_prefix(self, task: TaskKey) -> str:
        """All of its reports."""
        return f"{self.root}{task.path}/card"

    def failure(self, task: TaskKey) -> str:
        """Why an attempt failed, beside what it printed."""
        return f"{self.root}{task.path}/failure.json"

    def output(self, task: TaskKey, stream: str) -> str:
        """What an attempt printed to `stdout` or `stderr`."""
        return f"{self.root}{task.path}/{stream}"

    def times(self, task: TaskKey) -> str:
        """When an attempt printed what it printed."""
        return f"{self.root}{task.path}/times.json"

    def live(self, task: TaskKey) -> str:
        """The prefix of what an attempt has printed so far, with the slash."""
        return f"{self.live_prefix}{task.path.replace('/', '~')}/"

    @property
    def live_prefix(self) -> str:
        """All of these, one folder an attempt."""
        return f"{self.root}live/"

    def attempt_of_live(self, key: str) -> TaskKey | None:
        """The attempt of such a folder; None when it is none of this version."""
        found = _LIVE.fullmatch(key.removeprefix(self.live_prefix).partition("/")[0])
        if found is None:
            return None
        return TaskKey(int(found["epoch"]), found["step"], found["task"], int(found["attempt"]))

    def alive(self, number: int) -> str:
        """A mark of life of a run by hand."""
        return f"{self.epoch(1)}alive/{number:010d}"

    def tags(self, generation: int) -> str:
        """The tags after so many changes, from 1."""
        return f"{self.tags_prefix}{_MOST_GENERATIONS - generation:08d}"

    @property
    def tags_prefix(self) -> str:
        """All of these, the latest first."""
        return f"{self.root}tags/"

    def downstream(self, namespace: str, flow: str, run_id: str) -> str:
        """Written by the run that this one's completion or event caused."""
        return f"{self.root}downstream/{namespace.replace('/', '~')}/{flow}/{run_id}"

    @property
    def downstream_prefix(self) -> str:
        """All of these."""
        return f"{self.root}downstream/"


def card_id_of_key(key: str) -> str | None:
    """The id of a report; None for the one without."""
    _, _, card_id = key.rpartition("/")[2].removesuffix(".html").partition("-")
    return card_id or None


def blob_key(project: str, digest: str) -> str:
    """A value or code package by the hexadecimal SHA-256 of its bytes."""
    return f"projects/{project}/blobs/{digest[:2]}/sha256-{digest}"


def environment_key(project: str, digest: str) -> str:
    """The lock of an environment, by the digest of what was asked for."""
    return f"projects/{project}/environments/{digest[:2]}/sha256-{digest}"


def flow_index_prefix(namespace: str, flow: str, *, successful: bool = False) -> str:
    """The folder that lists the runs of a flow, latest first."""
    return f"projects/{namespace}/{flow}/{'successful' if successful else 'index'}/"


def index_key(
    namespace: str, flow: str, run_id: str, requested_at: datetime, *, successful: bool = False
) -> str:
    """The entry of one run. The time is that of the request, so a take-over writes the same."""
    prefix = flow_index_prefix(namespace, flow, successful=successful)
    return f"{prefix}{_latest_first(run_id, requested_at)}"


def tagged_prefix(namespace: str, flow: str, tag: str) -> str:
    """The folder that lists the runs of a flow that have, or had, a tag, latest first."""
    digest = hashlib.sha256(tag.encode()).hexdigest()[:_TAG_DIGEST]
    return f"projects/{namespace}/{flow}/tagged/{digest}/"


def tagged_key(namespace: str, flow: str, run_id: str, requested_at: datetime, tag: str) -> str:
    """The entry of one run under one of its tags."""
    return f"{tagged_prefix(namespace, flow, tag)}{_latest_first(run_id, requested_at)}"


def _latest_first(run_id: str, requested_at: datetime) -> str:
    ms = (requested_at - _EPOCH) // timedelta(milliseconds=1)
    day = _MAX_MS // _MS_PER_DAY - ms // _MS_PER_DAY
    hour = 23 - ms % _MS_PER_DAY // _MS_PER_HOUR
    return f"{day:06d}/{hour:02d}/{_MAX_MS - ms:013d}-{run_id}"


def run_id_of_index_key(key: str) -> str:
    """The run of an entry."""
    return key.rsplit("-", 1)[1]


def flow_key(namespace: str, flow: str) -> str:
    """Says that a flow of that name lives in a namespace."""
    return f"flows/{flow}/{namespace.replace('/', '~')}"


def flow_of_key(key: str) -> tuple[Namespace, str]:
    """(namespace, flow) of such a key."""
    _, flow, place = key.split("/")
    project, _, branch = place.partition("~")
    return Namespace(project, branch), flow


def lineage_prefix(origin: Offset) -> str:
    """The folder of the block of offsets that `origin` is in: one entry a run."""
    block = origin.offset // OFFSETS_PER_BLOCK
    return f"lineage/{origin.topic}.{origin.topic_id}/{origin.partition}/{block:020d}/"


def lineage_key(origins: Sequence[Offset], namespace: str, flow: str, run_id: str) -> str:
    """The entry of a run in the block that all of `origins` are in; its body has their offsets.

    It begins with the place in the block; of several it lies in the folder `many`, and begins
    with the first and the last. So who asks for one offset lists what it started, and few others.
    """
    first, last = (each.offset % OFFSETS_PER_BLOCK for each in (min(origins), max(origins)))
    offsets = f"{first:03d}" if first == last else f"{_MANY}{first:03d}-{last:03d}"
    home = namespace.replace("/", "~")
    return f"{lineage_prefix(origins[0])}{offsets}~{run_id}~{home}~{flow}"


def lineage_prefixes(origin: Offset) -> tuple[str, str]:
    """What the entries begin with of runs that this record started: alone, and with others of
    its block. The latter are all joins of the block: see `may_be_of`."""
    block = lineage_prefix(origin)
    return f"{block}{origin.offset % OFFSETS_PER_BLOCK:03d}~", f"{block}{_MANY}"


def may_be_of(key: str, offset: int) -> bool:
    """Whether an offset of its block lies between the first and the last one of an entry."""
    offsets = key.rpartition("/")[2].partition("~")[0]
    first, _, last = offsets.partition("-")
    return int(first) <= offset % OFFSETS_PER_BLOCK <= int(last or first)


def run_of_lineage_key(key: str) -> RunPlace:
    """The run of such an entry."""
    _, run_id, project, branch, flow = key.rpartition("/")[2].split("~")
    return RunPlace(f"{project}/{branch}", flow, run_id)


def run_of_downstream_key(key: str) -> RunPlace:
    """The run that a downstream key of another names."""
    namespace, flow, run_id = key.split("/")[-3:]
    return RunPlace(namespace.replace("~", "/"), flow, run_id)


def lineage_topic_prefix(topic: str) -> str:
    """What the folders of all topics of that name, one after the other, begin with."""
    return f"lineage/{topic}."


def topic_id_of_lineage_key(key: str, topic: str) -> str:
    """The id in such a key, or folder; an id has no dot, so that one with a dot is of another
    topic, whose name goes on."""
    return key.removeprefix(lineage_topic_prefix(topic)).partition("/")[0]


def probe_key(token: str) -> str:
    """What a service races for at its start, to see what the store is good for."""
    return f"probes/{token}"
