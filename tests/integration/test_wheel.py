"""The installed wheel, as a user has it: nothing of the checkout is on its path."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
FLOW = """\
from eventflow import FlowSpec, step


class Tiny(FlowSpec):
    @step
    def start(self):
        self.answer = 42
        self.next(self.end)

    @step
    def end(self):
        print(f"the answer is {self.answer}")


if __name__ == "__main__":
    Tiny()
"""
WHERE_FROM = """\
import importlib.resources, json
import eventflow
packaged = importlib.resources.files("eventflow") / "schemas"
print(json.dumps({"package": eventflow.__file__,
                  "packaged": sorted(each.name for each in packaged.iterdir())}))
"""


@dataclass(frozen=True)
class Installed:
    """A fresh environment with the wheel, and a folder to work in."""

    environment: Path
    folder: Path

    def run(self, command: str, *words: str) -> str:
        """What a command of the environment prints."""
        clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [str(self.environment / "bin" / command), *words],
            cwd=self.folder,
            env={**clean, "EVENTFLOW_HOME": str(self.folder / "state")},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{command} {words}:\n{done.stdout}{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Built and installed without a network: the dependencies are those of this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist"))
    (wheel,) = (folder / "dist").glob("*.whl")
    environment = folder / "environment"
    _run(sys.executable, "-m", "venv", "--without-pip", str(environment))
    _run(
        str(Path(sys.executable).parent / "uv"),
        *("pip", "install", "--quiet", "--offline", "--no-deps", "--no-cache"),
        *("--python", str(environment / "bin" / "python"), str(wheel)),
    )
    # After the environment's own folder on the path, and without the .pth files in it: what an
    # editable install of the checkout left there is not followed.
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("platlib") + "\n")
    (folder / "work").mkdir()
    return Installed(environment, folder / "work")


def test_an_installed_wheel_publishes_tails_and_runs_a_flow(installed: Installed) -> None:
    (installed.folder / "tiny.py").write_text(FLOW)

    found = json.loads(installed.run("python", "-c", WHERE_FROM))
    told = installed.run("eventflow", "--help")
    installed.run("eventflow", "publish", "landed", "-p", "day=3", "--project", "shop")
    tailed = installed.run("eventflow", "tail", "--from-beginning", "--until-end", "--json")
    ran = installed.run("python", "tiny.py", "run")

    assert Path(found["package"]).is_relative_to(installed.environment)
    assert found["packaged"] == sorted(each.name for each in (ROOT / "schemas").glob("*.avsc"))
    assert "publish" in told
    assert "landed" in tailed
    assert "the answer is 42" in ran


def _run(*command: str) -> None:
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)
