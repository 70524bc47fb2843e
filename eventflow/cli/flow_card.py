"""`python flow.py card …`: the cards of a task, listed, written out, shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from eventflow.cli.guiding import GuidedGroup
from eventflow.cli.output import as_json_option, print_rows

if TYPE_CHECKING:
    from eventflow.cards import Card
    from eventflow.context import World
    from eventflow.model.namespace import Namespace

__all__ = ["card"]

_id_option = click.option("--id", "card_id", help="The card with this id.")
_task_argument = click.argument("task", metavar="RUN/STEP[/TASK]")


class _Target(Protocol):
    """The flow of a command line, as far as it is needed here."""

    @property
    def flow_class(self) -> type: ...

    @property
    def world(self) -> World: ...

    def namespace(self, *, is_deploy: bool) -> Namespace: ...


@click.group("card", cls=GuidedGroup)
def card() -> None:
    """The reports that @card makes of tasks."""


@card.command("list")
@_task_argument
@as_json_option
@click.pass_obj
def list_cards(target: _Target, task: str, as_json: bool) -> None:
    """Say which cards a task has."""
    root = target.world.store.url
    rows = [{"id": each.id, "at": f"{root}/{each.path}"} for each in _cards(target, task)]
    print_rows(("id", "at"), rows, as_json=as_json)


@card.command("get")
@_task_argument
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@_id_option
@click.pass_obj
def get_card(target: _Target, task: str, file: Path | None, card_id: str | None) -> None:
    """Write the HTML of a card to FILE, or to the terminal."""
    html = _one(target, task, card_id).get()
    if file is None:
        click.echo(html)
    else:
        file.write_text(html, encoding="utf-8")
        click.echo(f"Wrote {file}.")


@card.command("view")
@_task_argument
@_id_option
@click.pass_obj
def view_card(target: _Target, task: str, card_id: str | None) -> None:
    """Show a card in the web browser."""
    click.echo(f"Opened {_one(target, task, card_id).view()}.")


def _cards(target: _Target, task: str) -> tuple[Card, ...]:
    from eventflow.cards import get_cards
    from eventflow.client.step import Step
    from eventflow.errors import NotFound

    namespace = target.namespace(is_deploy=False)
    pathspec = f"{namespace}/{target.flow_class.__name__}/{task}"
    found = get_cards(Step(pathspec).task if task.count("/") == 1 else pathspec)
    if not found:
        raise NotFound(f"{task} has no card: write @card above the step.")
    return found


def _one(target: _Target, task: str, card_id: str | None) -> Card:
    from eventflow.errors import Ambiguous, NotFound

    cards = _cards(target, task)
    ids = [each.id for each in cards]
    if len(cards) == 1 and card_id is None:
        return cards[0]
    if card_id is None and None not in ids:
        raise Ambiguous(f"{task} has several cards: say --id {' or '.join(map(str, ids))}.")
    for each in cards:
        if each.id == card_id:
            return each
    raise NotFound(f"{task} has no card of the id {card_id!r}; it has: {', '.join(map(str, ids))}.")
