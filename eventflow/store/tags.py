"""The tags of a run: those of its `run.json`, then one object a change, numbered.

Each change is a whole new state, put *if absent* under the next number. Of two that change at
once one finds the number taken, reads what stands there, and tries again on top of it: no change
is lost, nothing is overwritten. The latest number is the first key in order.

A run is found by a tag through the folder `tagged` of its flow. An entry there is put before the
tag can be seen, and stays when it is removed: it says where to look, not what is so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventflow.errors import CorruptObject
from eventflow.model.tags import Tags, each_tag, namespace_tags
from eventflow.store.deciding import decide, read_json
from eventflow.store.layout import tagged_key
from eventflow.store.runs import read_run

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventflow.effects import Ids
    from eventflow.model.run import RunRequest
    from eventflow.store.layout import RunPlace
    from eventflow.store.port import Store

__all__ = ["change_tags", "read_tags", "tags_at_start"]


def read_tags(store: Store, place: RunPlace) -> Tags:
    """The tags of a run as they are now: two reads, however often they were changed.

    Raises:
        ObjectMissing: there is no such run.
        CorruptObject: they cannot be read.
    """
    latest = next(iter(store.list(place.tags_prefix, limit=1)), None)
    if latest is None:
        return tags_at_start(read_run(store, place).request)
    return _from_json(read_json(store, latest.key), latest.key)


def change_tags(
    store: Store,
    place: RunPlace,
    ids: Ids,
    *,
    add: Iterable[str] = (),
    remove: Iterable[str] = (),
) -> Tags:
    """Change the user tags of a run, `remove` first; what they are then. Durable on return.

    Others may change them at once: what they added or removed stays so.

    Raises:
        InvalidTag: one cannot be a tag, is a system tag to be removed, or there would be too
            many; nothing was changed.
        ObjectMissing: there is no such run.
    """
    added, removed = each_tag(add), each_tag(remove)
    request = read_run(store, place).request
    while True:
        before = read_tags(store, place)
        after = before.changed(add=added, remove=removed)
        if after is before:
            return before
        store.put_all((_tagged_key(request, tag), b"") for tag in sorted(after.user - before.user))
        key = place.tags(after.generation)
        # Not ours: somebody else's change went through, so that this ends when they do.
        if decide(store, key, _to_json(after), nonce=ids.token()).is_mine:
            return after


def _tagged_key(request: RunRequest, tag: str) -> str:
    return tagged_key(request.namespace, request.flow, request.run_id, request.requested_at, tag)


def tags_at_start(request: RunRequest) -> Tags:
    """The tags that a run begins with."""
    system = frozenset((*request.system_tags, *namespace_tags(request.namespace)))
    return Tags(frozenset(request.tags) - system, system)


def _to_json(tags: Tags) -> dict[str, Any]:
    return {
        "generation": tags.generation,
        "tags": sorted(tags.user),
        "system_tags": sorted(tags.system),
    }


def _from_json(content: dict[str, Any], key: str) -> Tags:
    try:
        return Tags(
            frozenset(content["tags"]), frozenset(content["system_tags"]), content["generation"]
        )
    except (KeyError, TypeError) as error:
        raise CorruptObject(f"{key} is not what it should be: {error!r}.") from error
