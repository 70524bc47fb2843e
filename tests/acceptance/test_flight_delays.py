"""A week of examples/flight_delays, champion and challenger, as a user plays it.

What is expected comes from the acknowledged publishes of the ETL job; log and store are read
without eventflow.
"""

from __future__ import annotations

import json
import os
import sys
import sysconfig
from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.installation import Installation
from tests.docs.documents import blocks
from tests.docs.story import Story
from tests.servers.processes import free_port
from tests.support.cluster import Cluster
from tests.support.eventually import eventually
from tests.support.history import FileObjects

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

FOLDER = Path(__file__).parents[2] / "examples" / "flight_delays"
FLOWS = {
    "TrainDelayModel": "train.py",
    "PredictDelays": "predict.py",
    "PublishPredictions": "publish.py",
}
RECIPES = {"prod": "plain", "test.new_model": "capped"}
OPTIONS = {"prod": ("--production",), "test.new_model": ("--branch", "new_model")}
FIRST, DAYS = date(2013, 1, 1), 7
REPEATED = date(2013, 1, 3)


@dataclass(frozen=True)
class Week:
    """The installation after the week: `landed` and `repeated` are what the ETL job was told."""

    installation: Installation
    landed: list[dict[str, Any]]
    repeated: list[dict[str, Any]]

    def python(self, file: str, *words: str) -> str:
        """What a program of the example prints."""
        return self.installation.cluster.flow(FOLDER / file, *words).stdout

    def runs(self, branch: str, flow: str) -> dict[str, dict[str, Any]]:
        """`run.json` of each run of a flow in a branch, by run id."""
        prefix, objects = f"projects/flight_delays/{branch}/{flow}/runs/", _objects(self)
        keys = (key for key in objects.keys() if key.startswith(prefix))  # noqa: SIM118
        found = (json.loads(objects.read(key)) for key in keys if key.endswith("/run.json"))
        return {run["run_id"]: run for run in found}


@pytest.fixture(scope="module")
def week(lasting_installation: Installation) -> Week:
    """Deployed, landed, one day of it landed again, and everything that follows has ended."""
    installation = lasting_installation
    cluster, history = installation.cluster, installation.history
    cluster.start("up")
    for options in OPTIONS.values():
        for file in FLOWS.values():
            cluster.flow(FOLDER / file, *options, "deploy")
    landed = _etl(installation, FIRST, DAYS)
    repeated = _etl(installation, REPEATED, 1)
    expected = DAYS * len(FLOWS) * len(OPTIONS)
    eventually(lambda: len(history.ended()) >= expected, 300, "not all runs have ended")
    eventually(lambda: history.completions().total() >= expected, 30, "completions are missing")
    return Week(installation, landed, repeated)


def _etl(installation: Installation, first: date, days: int) -> list[dict[str, Any]]:
    words = ("--first", str(first), "--days", str(days), "--json")
    done = installation.cluster.flow(FOLDER / "etl.py", *words)
    return [json.loads(line) for line in done.stdout.splitlines()]


def _objects(week: Week) -> Any:
    return week.installation.history.objects


def test_every_day_that_landed_started_one_training_in_each_branch(week: Week) -> None:
    acknowledged = [said["offset"] for said in week.landed]

    week.installation.history.check_started_once("TrainDelayModel", acknowledged * len(OPTIONS))

    for branch in OPTIONS:
        trained = week.runs(branch, "TrainDelayModel").values()
        assert Counter(_origin(run) for run in trained) == Counter(acknowledged)


def test_every_run_that_ended_started_the_next_flow_of_its_own_branch_once(week: Week) -> None:
    for branch in OPTIONS:
        upstream = None
        for flow in FLOWS:
            runs = week.runs(branch, flow)
            assert len(runs) == DAYS
            if upstream is not None:
                assert Counter(_cause(run)["run_id"] for run in runs.values()) == Counter(upstream)
            upstream = runs.keys()


def test_every_run_has_one_end_and_it_succeeded(week: Week) -> None:
    history = week.installation.history

    ended = history.ended()

    history.check_ends()
    history.check_order()
    history.check_nothing_given_up()
    assert Counter(ended.values()) == {"succeeded": DAYS * len(FLOWS) * len(OPTIONS)}


def test_a_day_that_landed_again_is_decided_once_more_and_starts_nothing(week: Week) -> None:
    first = next(said for said in week.landed if said["date"] == str(REPEATED))
    repeat = week.repeated[0]

    decisions = [
        (entry.value["namespace"], entry.value["verdict"])
        for entry in week.installation.history.log.read("decisions")
        if _place(entry.value["origin"]) == repeat["offset"]
    ]

    assert repeat["offset"] != first["offset"]
    assert {**repeat, "offset": first["offset"]} == first
    assert sorted(decisions) == [(f"flight_delays/{branch}", "duplicate") for branch in OPTIONS]
    assert repeat["offset"] not in week.installation.history.started_by("TrainDelayModel")


def test_each_branch_publishes_what_its_own_flows_predicted(week: Week) -> None:
    for branch in OPTIONS:
        made = set(week.runs(branch, "PredictDelays"))

        published = _published(week, branch, FIRST + timedelta(days=DAYS))

        runs = {each["made_by"].split("/")[-1] for each in published}
        assert len(runs) == 1
        assert runs < made


def test_what_is_published_is_what_a_plain_loop_over_the_days_computes(
    week: Week, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    model, flights = import_module("delay_model"), import_module("flights")
    pa = import_module("pyarrow")
    days = [FIRST + timedelta(days=number) for number in range(DAYS + 1)]

    for branch, recipe in RECIPES.items():
        for seen in (1, DAYS // 2, DAYS):
            day = days[seen]
            table = pa.concat_tables(flights.flights_of(each) for each in days[:seen])
            fitted = model.fit(table, model.RECIPES[recipe])
            expected = model.predict(fitted, flights.plan_of(day))

            published = {each["flight"]: each["minutes"] for each in _published(week, branch, day)}

            assert published.keys() == expected.keys()
            assert published == pytest.approx(expected, abs=0.11)


def test_the_lineage_of_a_prediction_ends_at_the_offset_of_its_event(week: Week) -> None:
    last = week.landed[-1]
    prediction = _published(week, "prod", FIRST + timedelta(days=DAYS))[0]

    traced = week.installation.cluster.eventflow(
        "lineage", f"{prediction['made_by']}/start/0/predictions"
    ).stdout

    assert last["offset"] in traced
    assert not any(said["offset"] + "\n" in traced for said in week.landed[:-1])


def test_champion_and_challenger_are_compared_on_the_days_that_are_known(week: Week) -> None:
    dates = ("--first", str(FIRST + timedelta(days=1)), "--days", str(DAYS - 1))

    table = week.python("compare.py", *dates, *OPTIONS).splitlines()

    champion, challenger = (float(cell) for cell in table[-1].split()[-2:])
    assert table[0].split()[-2:] == list(OPTIONS)
    assert 15 < challenger < champion < 30


def test_the_demo_tells_it_all_and_a_second_demo_starts_nothing_new(tmp_path: Path) -> None:
    cluster = Cluster({"EVENTFLOW_HOME": str(tmp_path)}, tmp_path)
    demo = (sys.executable, "-m", "examples.flight_delays.demo", "--days", "2")

    told, again = (cluster.run(*demo).stdout for _ in range(2))

    objects = FileObjects(tmp_path / "store")
    ends = [key for key in objects.keys() if key.endswith("/end.json")]  # noqa: SIM118
    assert len(ends) == 2 * len(FLOWS) * len(OPTIONS)
    for story in (told, again):
        assert "2 events, 12 runs, each started once" in story
        assert "champion" in story
        assert "challenger" in story


def test_a_demo_without_its_broker_fails_and_says_so(tmp_path: Path) -> None:
    nobody = {"EVENTFLOW_KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}"}
    cluster = Cluster({"EVENTFLOW_HOME": str(tmp_path), **nobody}, tmp_path)
    demo = (sys.executable, "-m", "examples.flight_delays.demo", "--days", "2")

    done = cluster.run(*demo, check=False)

    assert done.returncode == 1
    assert "The demo failed: eventflow up did not come up" in done.stdout


def test_the_readme_does_what_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVENTFLOW_HOME", raising=False)
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    home = tmp_path / "home"
    cluster = Cluster({"EVENTFLOW_HOME": str(home), "PATH": path}, tmp_path)
    reader = Story(FOLDER, cluster)

    try:
        for block in blocks("examples/flight_delays/README.md"):
            if not block.why_not_run:
                reader.play(block)
    finally:
        cluster.stop()

    assert len(list(home.glob("predictions/*.db"))) == 3


def _published(week: Week, branch: str, day: date) -> list[dict[str, Any]]:
    words = ("--branch", branch, "--date", str(day), "--limit", "2000", "--json")
    return [json.loads(line) for line in week.python("prediction_cache.py", *words).splitlines()]


def _cause(run: dict[str, Any]) -> dict[str, Any]:
    (cause,) = run["causes"]
    return dict(cause)


def _origin(run: dict[str, Any]) -> str:
    topic, _, partition, offset = _cause(run)["origin"]
    return f"{topic}/{partition}/{offset}"


def _place(origin: dict[str, Any]) -> str:
    return f"{origin['topic']}/{origin['partition']}/{origin['offset']}"
