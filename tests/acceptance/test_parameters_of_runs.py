"""Parameters, included files and configurations, from the command line and from a deployment to
the steps and to the client."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from eventflow import ConfigValue, DeployedFlow, Event, Run, namespace
from tests.acceptance.installation import Installation, embedded
from tests.support.eventually import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

SOURCE = Path(__file__).parent / "flows" / "settled.py"
CONFIG = {"project": "shop", "event": "landed", "rows": 7, "table": {"name": "orders"}}
QUERY = "select 'ü'\r\n" * 10_000
LINE = SOURCE.read_text().partition("Config(")[0].count("\n") + 1
IMAGE = bytes(range(256)) * 8


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The author's: the flow and what it is set by."""
    folder = tmp_path / "author"
    folder.mkdir()
    shutil.copy(SOURCE, folder)
    (folder / "settled.json").write_text(json.dumps(CONFIG))
    (folder / "query.sql").write_bytes(QUERY.encode())
    (folder / "image.bin").write_bytes(IMAGE)
    return folder


def python(
    installation: Installation, folder: Path, *words: str, **env: str
) -> subprocess.CompletedProcess[str]:
    """`python settled.py …` in the author's folder."""
    return subprocess.run(
        [sys.executable, "settled.py", *words],
        cwd=folder,
        env={**os.environ, **installation.cluster.env, **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def by_hand(installation: Installation, folder: Path, *words: str, **env: str) -> Run:
    """A run of the command `… run …`; use it while connected."""
    done = python(installation, folder, *words, "--run-id-file", "run-id", **env)
    assert done.returncode == 0, done.stderr
    return Run(f"Settled/{(folder / 'run-id').read_text()}")


def test_a_run_by_hand_has_its_defaults(tmp_path: Path, folder: Path) -> None:
    installation = embedded(tmp_path)

    with installation.connected():
        run = by_hand(installation, folder, "run")

        assert run.namespace.startswith("shop/user.")
        assert run.data.told == "7 rows of orders"
        assert run["join"].task.data.seen == (
            QUERY,
            [7, ["a", "b"], False, None, "orders"],
            "ORDERS",
        )


def test_a_run_by_hand_has_what_it_is_given(tmp_path: Path, folder: Path) -> None:
    installation = embedded(tmp_path)
    (folder / "other.sql").write_text("select 2")
    (folder / "other.json").write_text(json.dumps({**CONFIG, "table": {"name": "returns"}}))

    with installation.connected():
        run = by_hand(
            installation,
            folder,
            *("--config", "config", "other.json", "run", "--parts", "x", "--dry", "yes"),
            *("--query", "other.sql", "--image", "image.bin"),
            EVENTFLOW_RUN_ROWS="9",
            EVENTFLOW_RUN_PARTS="y",
        )
        data = run["join"].task.data

        assert data.seen == ("select 2", [9, ["x"], True, IMAGE, "returns"], "RETURNS")
        assert (data.query, data.image, data.rows, data.parts) == ("select 2", IMAGE, 9, ["x"])
        assert (data.title, data.config.table.name) == ("RETURNS", "returns")


def test_everything_wrong_that_is_typed_is_refused_before_anything_runs(
    tmp_path: Path, folder: Path
) -> None:
    installation = embedded(tmp_path)

    typed = python(installation, folder, "run", "--rows", "ten", "--dry", "maybe")
    file = python(installation, folder, "run", "--query", "image.bin")
    config = python(installation, folder, "--config", "config", "query.sql", "run")

    assert [each.returncode for each in (typed, file, config)] == [2, 2, 2]
    assert "Parameter 'rows': 'ten' is no value of type int" in typed.stderr
    assert "Parameter 'dry': 'maybe' is no value of type bool; write true or" in typed.stderr
    assert re.search(r"Parameter 'query': .*image.bin is no text in utf-8: byte 128", file.stderr)
    assert re.search(
        rf"settled.py:{LINE}: Configuration 'config' .*query.sql is no JSON", config.stderr
    )
    assert not list((tmp_path / "state").glob("store/projects/shop/*/Settled"))


def test_a_deployed_version_keeps_what_it_was_deployed_with(
    lasting_installation: Installation, folder: Path
) -> None:
    installation = lasting_installation
    cluster, history = installation.cluster, installation.history
    cluster.start("up")
    said = python(installation, folder, "--production", "deploy")
    assert said.returncode == 0, said.stderr
    for name in ("settled.json", "query.sql"):
        (folder / name).unlink()

    with installation.connected():
        for payload in ({}, {"rows": 3, "parts": "z", "query": "not a file", "config": {}}):
            Event("landed", payload, project="shop", branch="prod").publish()
        eventually(lambda: len(history.ended()) == 2, 120, "the runs have not ended")
        namespace("shop/prod")
        runs = [Run(f"Settled/{each}") for each in history.ended()]
        ends = sorted((run["join"].task.data.seen, run.data) for run in runs)

        assert [seen for seen, _ in ends] == [
            (QUERY, [3, ["z"], False, None, "orders"], "ORDERS"),
            (QUERY, [7, ["a", "b"], False, None, "orders"], "ORDERS"),
        ]
        for _, data in ends:
            assert (type(data.config), data.config) == (ConfigValue, CONFIG)
            assert data.query == QUERY
        _check_triggered(installation, folder)
    (deployment,) = history.log.read("deployments")
    assert len(json.dumps(deployment.value, default=str)) < 10_000
    assert all(len(json.dumps(each, default=str)) < 10_000 for each in history.requests("Settled"))


def _check_triggered(installation: Installation, folder: Path) -> None:
    """Who requests a run gives it files by their paths, wherever the flow is."""
    image, query = folder / "image.bin", folder / "short.sql"
    query.write_text("select 3")
    (folder / "settled.json").write_text(json.dumps(CONFIG))  # for the flow's own command

    triggered = DeployedFlow.from_deployment("shop/prod/Settled").trigger(query=query, image=image)
    said = installation.cluster.eventflow("trigger", "Settled", "-p", f"query={query}", "--json")
    query.unlink()
    own = python(installation, folder, "--production", "trigger", "--image", "image.bin", "--json")
    runs = [triggered.run_id, *(json.loads(each.stdout)["run_id"] for each in (said, own))]
    ended = installation.history.ended
    eventually(lambda: set(runs) <= set(ended()), 120, "the runs have not ended")

    seen = [Run(f"Settled/{each}")["join"].task.data.seen[:2] for each in runs]
    assert [(text, values[3]) for text, values in seen] == [
        ("select 3", IMAGE),
        ("select 3", None),
        (QUERY, IMAGE),
    ]
