"""The page of a card: one HTML file that loads nothing, runs nothing, and can be sent about."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from eventflow.cards.components import Artifact
from eventflow.cards.preview import ROWS, preview, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from eventflow.cards.components import Component

__all__ = ["Made", "Report", "page"]


@dataclass(frozen=True, slots=True)
class Made:
    """An artifact of the task; `value` is given where `has_value`: others would have to be loaded.
    Its size is that of the encoded value, None when it was not stored."""

    name: str
    type_name: str
    size_bytes: int | None = None
    has_value: bool = False
    value: object = None


@dataclass(frozen=True, slots=True)
class Report:
    """What there is to say of a task. `reason` and `traceback` are those of a failure."""

    pathspec: str
    namespace: str
    attempt: int
    started_at: datetime
    finished_at: datetime
    parameters: Mapping[str, object]
    artifacts: Sequence[Made]
    reason: str = ""
    traceback: str = ""


def page(report: Report, parts: Sequence[Component], *, is_blank: bool, rows: int = ROWS) -> str:
    """The HTML of a card; `parts` are what the step appended, which is all of one that is blank."""
    own = [_part(each) for each in parts]
    sections = own if is_blank else [_facts(report), *own, *_about(report, rows)]
    title = escape(report.pathspec)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>"
        + "".join(f"<section>{each}</section>" for each in sections)
        + "</body></html>"
    )


def _facts(report: Report) -> str:
    seconds = (report.finished_at - report.started_at).total_seconds()
    facts = {
        "Namespace": report.namespace,
        "Attempt": str(report.attempt),
        "Began": f"{report.started_at:%Y-%m-%d %H:%M:%S} UTC",
        "Took": f"{seconds:,.3f} s",
        "Outcome": f"failed: {report.reason}" if report.reason else "succeeded",
    }
    return table((), ([f"<b>{name}</b>", escape(value)] for name, value in facts.items()))


def _about(report: Report, rows: int) -> Iterable[str]:
    if report.traceback:
        yield f"<h2>Failure</h2><pre>{escape(report.traceback)}</pre>"
    if report.parameters:
        given = report.parameters.items()
        cells = ([escape(name), Artifact(value).html()] for name, value in given)
        yield f"<h2>Parameters</h2>{table(('Name', 'Value'), cells)}"
    if report.artifacts:
        made = sorted(report.artifacts, key=lambda each: each.name)
        heads = ("Name", "Type", "Bytes", "Value")
        yield f"<h2>Artifacts</h2>{table(heads, (_row(each, rows) for each in made))}"


def _row(made: Made, rows: int) -> list[str]:
    size = "" if made.size_bytes is None else f"{made.size_bytes:,}"
    shown = "as it was before"
    if made.has_value:
        shown = _shown("The value", lambda: preview(made.value, rows))
    return [escape(made.name), escape(made.type_name), size, shown]


def _part(part: Component) -> str:
    return _shown(type(part).__name__, part.html)


def _shown(name: str, make: Callable[[], str]) -> str:
    """What cannot be shown leaves a note in its place, and the rest as it is."""
    try:
        return make()
    except Exception as error:  # noqa: BLE001 - what it was made of is user code
        why = f"{name} cannot be shown: {type(error).__name__}: {error}"
        return f"<p>{escape(why)}</p>"


_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}"
    "h1{font-size:1.2rem;overflow-wrap:anywhere}h2{font-size:1rem;margin-top:2rem}"
    "section{overflow-x:auto}table{border-collapse:collapse}"
    "th,td{border:1px solid #8886;padding:.25rem .6rem;text-align:left;vertical-align:top}"
    "pre{white-space:pre-wrap;margin:0}img{max-width:100%}figure{margin:1rem 0}"
)
