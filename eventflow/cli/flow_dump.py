"""`python flow.py dump`: the artifacts of tasks, for people, or as a pickle."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from pprint import pformat
from typing import TYPE_CHECKING, Any

import click

from eventflow.cli.flow_place import look, part_of
from eventflow.cli.output import as_json_option
from eventflow.errors import EventflowError, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eventflow.cli.flow_target import Target
    from eventflow.client.artifacts import DataArtifact
    from eventflow.client.task import Task

__all__ = ["command"]


@click.command("dump")
@click.argument("what", metavar="RUN/STEP[/TASK]")
@click.option("--private", is_flag=True, help="Those whose names begin with _ too.")
@click.option(
    "--max-value-size",
    type=click.IntRange(0),
    default=1000,
    show_default=True,
    help="Larger values are not shown; 0 shows names only.",
)
@click.option("--include", default="", help="Only these, with commas between: a,b")
@click.option("--file", "file", type=click.Path(dir_okay=False), help="Pickle all values there.")
@as_json_option
@click.pass_obj
def command(
    target: Target,
    what: str,
    *,
    private: bool,
    max_value_size: int,
    include: str,
    file: str | None,
    as_json: bool,
) -> None:
    """Print the artifacts of a step, or of one of its tasks."""
    world = look(target)
    part = part_of(target, what, least=2)
    names = [name.strip() for name in include.split(",") if name.strip()]
    tasks = part.tasks()
    if not tasks:
        raise NotFound(f"No task of {what} has ended: there is nothing to show yet.")
    if file is not None:
        _pickle(tasks, names, Path(file), private=private)
    for task in tasks if file is None else ():
        found = _artifacts(task, names, private=private)
        if as_json:
            for each in found or ():
                click.echo(json.dumps(_row(each, max_value_size)))
        else:
            _print(task, found, max_value_size)
    world.close()


def _artifacts(task: Task, names: Sequence[str], *, private: bool) -> list[DataArtifact] | None:
    """None of a task that has not succeeded."""
    if not task.successful:
        return None
    there = task.artifacts
    if names:
        return [there[name] for name in names if name in there]
    return [there[name] for name in dir(there)] if private else list(there)


def _print(task: Task, found: list[DataArtifact] | None, most: int) -> None:
    click.echo(f"{task.pathspec}")
    if found is None:
        why = task.exception
        click.echo(f"    has not succeeded{f': {why}' if why else ''}")
    for each in found or ():
        click.echo(f"    {each.id}  {each.type_name}, {each.size:,} bytes")
        for line in _lines(each, most):
            click.echo(f"        {line}")


def _lines(artifact: DataArtifact, most: int) -> Iterator[str]:
    yield from (_shown(artifact, most) or "").splitlines()


def _row(artifact: DataArtifact, most: int) -> dict[str, Any]:
    return {
        "pathspec": artifact.pathspec,
        "name": artifact.id,
        "type": artifact.type_name,
        "size_bytes": artifact.size,
        "sha": artifact.sha,
        "value": _shown(artifact, most),
    }


def _shown(artifact: DataArtifact, most: int) -> str | None:
    """None when it is larger than `most` bytes, as it is stored or as it would be printed."""
    if artifact.size > most:
        return None
    try:
        text = pformat(artifact.data)
    except EventflowError as error:
        return f"({error})"
    return text if len(text) <= most else None


def _pickle(tasks: Sequence[Task], names: Sequence[str], file: Path, *, private: bool) -> None:
    """One dict: pathspec → name → value, of the tasks that succeeded."""
    values = {
        task.pathspec: {each.id: each.data for each in found}
        for task in tasks
        if (found := _artifacts(task, names, private=private)) is not None
    }
    file.write_bytes(pickle.dumps(values))
    click.echo(f"{sum(map(len, values.values()))} artifacts are in {file}.")
