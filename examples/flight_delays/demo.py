"""A month of flights through six deployments: a champion, and a challenger beside it.

    make demo                                            everything embedded, in a new folder
    python -m examples.flight_delays.demo --days 7       a week of it

With EVENTFLOW_KAFKA__BOOTSTRAP_SERVERS and EVENTFLOW_STORE__URL set it is the same on Kafka and
S3. Every line after a `$` is a command that you can type yourself. Exit code 1: something that
had to happen did not, and the last line says what.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from examples.flight_delays.chains import Chains
from examples.flight_delays.stage import DemoFailed, Stage

PROJECT = "flight_delays"
FLOWS = {"TrainDelayModel": "train", "PredictDelays": "predict", "PublishPredictions": "publish"}
BRANCHES = {"prod": ["--production"], "test.new_model": ["--branch", "new_model"]}
ROLES = {"prod": "[green]champion  [/]", "test.new_model": "[magenta]challenger[/]"}

console = Console(highlight=False, soft_wrap=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Flight delays, day by day.")
    parser.add_argument("--first", type=date.fromisoformat, default=date(2013, 1, 1))
    parser.add_argument("--days", type=int, default=31, help="2 or more")
    options = parser.parse_args()
    if options.days < 2:
        parser.error("a prediction is measured on the day after: --days has to be 2 or more")
    home = os.environ.get("EVENTFLOW_HOME") or tempfile.mkdtemp(prefix="eventflow-demo-")
    stage = Stage(Path(home).absolute())
    try:
        with stage.up():
            play(stage, options.first, options.days)
    except DemoFailed as failed:
        console.print(f"[bold red]The demo failed:[/] {escape(str(failed))}")
        sys.exit(1)
    console.print(f"\nIt is all still there: EVENTFLOW_HOME={stage.home} eventflow runs")


def play(stage: Stage, first: date, days: int) -> None:
    """The story, told on a stage where eventflow is up."""
    bus = os.environ.get("EVENTFLOW_KAFKA__BOOTSTRAP_SERVERS", "embedded")
    store = os.environ.get("EVENTFLOW_STORE__URL", "local")
    console.print(f"[bold]$ export EVENTFLOW_HOME={stage.home}[/]")
    console.print(f"[bold]$ {'eventflow up':46}[/] [dim]bus {bus}, store {store}[/]")
    console.print("[bold]$ cd examples/flight_delays[/]")
    deploy(stage)
    follow(stage, first, days)
    trace(stage, first + timedelta(days=days))
    compare(stage, first, days)


def deploy(stage: Stage) -> None:
    """Three flows, twice: the same files, another branch."""
    console.print("\n[bold]Deploy the champion, and beside it a challenger: the same files[/]")
    commands = [
        ["python", f"{stem}.py", *branch, "deploy"]
        for branch in BRANCHES.values()
        for stem in FLOWS.values()
    ]
    children = [stage.start(*command, "--json") for command in commands]
    for command, child in zip(commands, children, strict=True):
        said = json.loads(stage.finish(child, *command))
        state = "in force" if said["in_force"] else "not yet in force"
        console.print(
            f"[bold]$ {' '.join(command):46}[/] [dim]version {said['version']} {state}[/]"
        )


def follow(stage: Stage, first: date, days: int) -> None:
    """Land the days, and say what each event has started, once its last run has ended."""
    etl = ["python", "etl.py", "--first", str(first), "--days", str(days)]
    console.print(f"\n[bold]Land {days} days of flights, and see what each of them starts[/]")
    console.print(f"[bold]$ {' '.join(etl)}[/]")
    began, chains = time.monotonic(), Chains()
    waiting: list[tuple[str, str]] = []  # (day, branch) of each acknowledged event
    landed, is_landing = 0, True
    with stage.listening("eventflow", "tail", "--from-beginning"), stage.listening(*etl):
        while is_landing or waiting:
            command, said = stage.next_line()
            if command == "tail" and said is not None:
                chains.add(said)
            elif said is not None:
                waiting += [(said["date"], branch) for branch in BRANCHES]
                landed += 1
            else:
                is_landing = False
            ended = [each for each in waiting if _has_ended(chains, *each)]
            waiting = [each for each in waiting if each not in ended]
    seconds, runs = time.monotonic() - began, landed * len(BRANCHES) * len(FLOWS)
    console.print(f"  {landed} events, {runs} runs, each started once, in {seconds:.0f} s")


def _has_ended(chains: Chains, day: str, branch: str) -> bool:
    """Whether the three runs of a chain have succeeded; says so when they have."""
    event, namespace = f"flights-{day}", f"{PROJECT}/{branch}"
    refusals = chains.refusals(event, namespace)
    if refusals:
        raise DemoFailed(f"the event {event} in {namespace}: {'; '.join(refusals)}")
    links = chains.links(event, namespace)
    if [link.flow for link in links if link.outcome] != list(FLOWS):
        return False
    offset = chains.first_offset[event].removeprefix("eventflow.")
    runs = " → ".join(f"{FLOWS[link.flow]} {link.run_id[:6]}" for link in links)
    console.print(f"  {day}  [dim]{offset:<12}[/]→ {ROLES[branch]} {runs}")
    return True


def trace(stage: Stage, day: date) -> None:
    """One prediction, back to the event that it comes from."""
    console.print("\n[bold]Look a prediction up, and ask where it comes from[/]")
    found = _show(
        stage, "python", "prediction_cache.py", "--date", str(day), "--limit", "1", "--json"
    )
    made_by = json.loads(found)["made_by"]
    _show(stage, "eventflow", "lineage", f"{made_by}/start/0/predictions")


def compare(stage: Stage, first: date, days: int) -> None:
    """Champion and challenger, measured against what happened."""
    console.print("\n[bold]Compare: by how many minutes is a prediction off?[/]")
    dates = ["--first", str(first + timedelta(days=1)), "--days", str(days - 1)]
    _show(stage, "python", "compare.py", *dates, *BRANCHES)


def _show(stage: Stage, *command: str) -> str:
    """Run a command in front of the reader; what it printed."""
    console.print(f"[bold]$ {' '.join(command)}[/]")
    output = stage.run(*command)
    for line in output.splitlines():
        console.print(f"  {escape(line)}")
    return output


if __name__ == "__main__":
    main()
