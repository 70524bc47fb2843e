"""`python flow.py tag`: the tags of the flow's runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from eventflow.cli.flow_place import latest_or_named, look
from eventflow.cli.output import as_json_option, print_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from eventflow.cli.flow_target import Target
    from eventflow.client.run import Run

__all__ = ["command"]

_SHORT_ID = 8


@click.group("tag")
def command() -> None:
    """The tags of runs: words to find them by."""


def _run_option(command: Callable[..., Any]) -> Callable[..., Any]:
    told = "The run; the first 6 characters of its id are enough."
    return click.option("--run-id", required=True, help=told)(command)


@command.command("add")
@_run_option
@click.argument("tags", nargs=-1, required=True)
@click.pass_obj
def add(target: Target, run_id: str, tags: tuple[str, ...]) -> None:
    """Hang tags on a run."""
    _change(target, run_id, lambda run: run.add_tags(tags))


@command.command("remove")
@_run_option
@click.argument("tags", nargs=-1, required=True)
@click.pass_obj
def remove(target: Target, run_id: str, tags: tuple[str, ...]) -> None:
    """Take tags away from a run."""
    _change(target, run_id, lambda run: run.remove_tags(tags))


@command.command("replace")
@_run_option
@click.option("--remove", "old", multiple=True, required=True, help="Take this away; repeatable.")
@click.option("--add", "new", multiple=True, required=True, help="Hang this on; repeatable.")
@click.pass_obj
def replace(target: Target, run_id: str, old: tuple[str, ...], new: tuple[str, ...]) -> None:
    """Take tags away and hang others on a run, in one change."""
    _change(target, run_id, lambda run: run.replace_tags(old, new))


@command.command("list")
@click.option("--run-id", help="The run; default: the latest.")
@click.option("--all", "every", is_flag=True, help="Of all runs.")
@click.option("--my-runs", is_flag=True, help="Of all runs that you started or deployed.")
@click.option("--hide-system-tags", is_flag=True, help="Only what people hung on them.")
@click.option("--group-by-tag", "grouping", flag_value="tag", help="A line a tag.")
@click.option("--group-by-run", "grouping", flag_value="run", help="A line a run.")
@as_json_option
@click.pass_obj
def list_(
    target: Target,
    run_id: str | None,
    *,
    every: bool,
    my_runs: bool,
    hide_system_tags: bool,
    grouping: str | None,
    as_json: bool,
) -> None:
    """Print the tags of a run, or of many."""
    world = look(target)
    if my_runs or every:
        if run_id is not None:
            raise click.UsageError("--run-id is one run, --all and --my-runs are many.")
        runs = _runs(target, mine=my_runs)
    else:
        runs = iter([latest_or_named(target, run_id)])
    tags = {run: _tags(run, hide_system=hide_system_tags) for run in runs}
    columns, rows = _GROUPED[grouping](tags)
    print_rows(columns, rows, as_json=as_json)
    world.close()


def _change(target: Target, run_id: str, change: Callable[[Run], None]) -> None:
    world = look(target)
    run = latest_or_named(target, run_id)
    change(run)
    tags = ", ".join(sorted(run.user_tags)) or "none"
    click.echo(f"{_name(run)} has these user tags now: {tags}")
    world.close()


def _runs(target: Target, *, mine: bool) -> Iterator[Run]:
    from eventflow.client.flow import Flow

    flow = Flow(target.flow_class.__name__)
    return flow.runs(f"user:{target.user}") if mine else flow.runs()


def _tags(run: Run, *, hide_system: bool) -> dict[str, str]:
    """Each tag, and of which kind it is."""
    user, system = run.user_tags, () if hide_system else run.system_tags
    return {
        **dict.fromkeys(sorted(user), "user"),
        **dict.fromkeys(sorted(system), "system"),
    }


_Tags = dict["Run", dict[str, str]]
_Rows = tuple[tuple[str, ...], list[dict[str, object]]]


def _flat(tags: _Tags) -> _Rows:
    rows: list[dict[str, object]] = [
        {"run": _name(run), "tag": tag, "kind": kind, "pathspec": run.pathspec}
        for run, of_run in tags.items()
        for tag, kind in of_run.items()
    ]
    return ("run", "tag", "kind"), rows


def _by_run(tags: _Tags) -> _Rows:
    rows: list[dict[str, object]] = [
        {"run": _name(run), "tags": list(of_run), "pathspec": run.pathspec}
        for run, of_run in tags.items()
    ]
    return ("run", "tags"), rows


def _by_tag(tags: _Tags) -> _Rows:
    found: dict[str, list[str]] = {}
    for run, of_run in tags.items():
        for tag in of_run:
            found.setdefault(tag, []).append(_name(run))
    return ("tag", "runs"), [{"tag": tag, "runs": found[tag]} for tag in sorted(found)]


_GROUPED: dict[str | None, Callable[[_Tags], _Rows]] = {
    None: _flat,
    "run": _by_run,
    "tag": _by_tag,
}


def _name(run: Run) -> str:
    flow, run_id = run.path_components
    return f"{flow}/{run_id[:_SHORT_ID]}"
