"""`eventflow dead-letters`: what could not be handled, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from eventflow.cli.existing import existing_world
from eventflow.cli.output import as_json_option, print_rows, print_values, time_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventflow.context import World
    from eventflow.model.dead_letter import DeadLetter
    from eventflow.model.log import Record

__all__ = ["command"]


@click.group("dead-letters")
def command() -> None:
    """Records that could not be handled, kept whole."""


@command.command("list")
@click.option("--reason", help="Only those with this reason.")
@click.option("-n", "limit", type=click.IntRange(1), default=50, show_default=True)
@as_json_option
def list_letters(reason: str | None, limit: int, as_json: bool) -> None:
    """The latest dead letters, oldest first."""

    world = existing_world()
    rows = [
        _row(record, letter)
        for record, letter in _letters(world)
        if reason in (None, letter.reason)
    ]
    rows.sort(key=lambda row: str(row["failed_at"]))
    columns = ("letter", "failed_at", "reason", "origin", "message")
    print_rows(columns, rows[-limit:], as_json=as_json)
    world.close()


@command.command("show")
@click.argument("letter")
@as_json_option
def show(letter: str, as_json: bool) -> None:
    """One dead letter, whole. LETTER is partition/offset as `list` shows it."""
    from eventflow.errors import NotFound

    world = existing_world()
    found = next((each for each in _letters(world) if _name(each[0]) == letter), None)
    if found is None:
        raise NotFound(f"There is no dead letter {letter}; see `eventflow dead-letters list`.")
    record, read = found
    row = _row(record, read)
    row["deployment"] = "/".join(str(part) for part in read.deployment or ())
    row["key"] = _text(read.key)
    row["headers"] = {name: _text(value) for name, value in read.headers}
    row["value"] = _text(read.value)
    print_values(row, as_json=as_json)
    world.close()


def _letters(world: World) -> Iterator[tuple[Record, DeadLetter]]:
    from eventflow.bus.reading import read_to_end
    from eventflow.codec.dead_letters import read_dead_letter
    from eventflow.model.log import TopicPartition

    topic = world.bus.topic(world.topics.dead_letters)
    for partition in range(topic.partitions):
        for record in read_to_end(world.bus, TopicPartition(topic.name, partition)):
            yield record, read_dead_letter(record)


def _row(record: Record, letter: DeadLetter) -> dict[str, object]:
    return {
        "letter": _name(record),
        "failed_at": time_text(letter.failed_at),
        "reason": letter.reason,
        "origin": str(letter.origin),
        "message": letter.message,
    }


def _name(record: Record) -> str:
    return f"{record.partition}/{record.offset}"


def _text(value: bytes | None) -> str | None:
    """Text where it is text, hexadecimal bytes otherwise."""
    if value is None:
        return None
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return f"0x{value.hex()}"
    return text if text.isprintable() else f"0x{value.hex()}"
