"""Environments of steps, made of real packages: decided once, built once, used offline."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

import eventflow
from eventflow import app
from eventflow.deploy import NewVersion, deploy, versions
from eventflow.effects import Effects
from eventflow.errors import EnvironmentUnavailable, InvalidPackages
from eventflow.execution.environments.building import FAULT_POINTS, Environment, Place, build, find
from eventflow.execution.environments.lock import lock_steps
from eventflow.execution.environments.request import own_versions, request_of
from eventflow.model.deployment import CodePackage
from eventflow.model.graph import FlowGraph
from eventflow.model.namespace import Namespace
from eventflow.model.policy import Packages, StepPolicy
from eventflow.settings import Settings
from eventflow.store.layout import environment_key
from eventflow.store.local import LocalStore
from tests.support.flows import line
from tests.support.package_index import need_package_index

pytestmark = pytest.mark.packages

SIX = Packages({"six": "1.15.0"})
NOWHERE = "http://127.0.0.1:9/simple"


@dataclass
class Machine:
    """A machine with a cache of its own; several share a store."""

    store: LocalStore
    cache: Path

    @property
    def place(self) -> Place:
        return Place(self.cache, self.store.url, "shop")

    def build(self, packages: Packages) -> Environment:
        return build(self.place, request_of(packages), self.store, Effects())

    def find(self, packages: Packages) -> Environment | None:
        return find(self.place, request_of(packages))

    def child(self, packages: Packages, **variables: str) -> subprocess.Popen[str]:
        ((name, version),) = packages.packages.items()
        command = [sys.executable, "-m", "tests.support.environment_child"]
        folder = self.store.url.removeprefix("file://")
        return subprocess.Popen(
            [*command, folder, str(self.cache), name, version],
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    need_package_index()
    (tmp_path / "store").mkdir()
    return Machine(LocalStore(tmp_path / "store"), tmp_path / "cache")


@pytest.fixture
def other_machine(machine: Machine, tmp_path: Path) -> Machine:
    return Machine(machine.store, tmp_path / "other-cache")


def said_in(environment: Environment, program: str) -> Any:
    """What a program prints as JSON that runs there, as a template process does."""
    out = subprocess.run(
        [environment.python, "-P", "-c", f"import json\n{program}"],
        env=environment.variables(os.environ, {}),
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(out.stdout)


def version_in(environment: Environment, package: str) -> Any:
    program = f"from importlib.metadata import version\nprint(json.dumps(version({package!r})))"
    return said_in(environment, program)


def be_offline(monkeypatch: pytest.MonkeyPatch, *, cache: Path | None = None) -> None:
    """No network; with a `cache` that is empty, uv has nothing at all."""
    monkeypatch.setenv("UV_OFFLINE", "1")
    if cache is not None:
        monkeypatch.setenv("UV_DEFAULT_INDEX", NOWHERE)
        monkeypatch.setenv("UV_CACHE_DIR", str(cache))


class TestContent:
    def test_is_the_package_in_its_version_and_not_what_the_runner_has(
        self, machine: Machine
    ) -> None:
        environment = machine.build(SIX)

        program = "import six, importlib.util as i\nprint(json.dumps([six.__version__, "
        there = said_in(environment, program + "bool(i.find_spec('pytest'))]))")

        assert there == ["1.15.0", False]

    def test_is_the_runners_own_eventflow_with_its_schemas(self, machine: Machine) -> None:
        environment = machine.build(SIX)

        program = "import os, eventflow, eventflow.app\nfrom eventflow.codec import schemas\n"
        program += "there = os.path.realpath(os.path.dirname(eventflow.__file__))\n"
        folder, size = said_in(
            environment, program + "print(json.dumps([there, len(schemas.schema_text('Event'))]))"
        )

        assert Path(folder) == Path(eventflow.__file__).parent
        assert size > 100

    def test_is_what_eventflow_needs_in_the_runners_versions(self, machine: Machine) -> None:
        environment = machine.build(SIX)

        found = {each: version_in(environment, each) for each in ("fastavro", "pydantic")}

        assert found == {each: own_versions()[each] for each in found}

    def test_is_found_by_programs_that_a_step_starts(self, machine: Machine) -> None:
        environment = machine.build(Packages({"cowsay": "6.0"}))

        program = "import subprocess\nout = subprocess.check_output(['cowsay', '-t', 'moo'])"
        said = said_in(environment, program + "\nprint(json.dumps(out.decode()))")

        assert "moo" in said


class TestLock:
    def test_has_a_hash_for_every_package(self, machine: Machine) -> None:
        machine.build(SIX)

        key = environment_key("shop", request_of(SIX).digest)
        lines = json.loads(machine.store.get(key))["lock"].replace("\\\n", "").splitlines()

        assert any(line.startswith("six==1.15.0") for line in lines)
        assert all("--hash=sha256:" in line for line in lines)

    def test_decides_once_for_all_machines(self, machine: Machine, other_machine: Machine) -> None:
        machine.build(SIX)
        any_six = Packages({"six": ""})
        content = json.loads(machine.store.get(environment_key("shop", request_of(SIX).digest)))
        # As if it had been decided when that was the latest version.
        machine.store.put_if_absent(
            environment_key("shop", request_of(any_six).digest), json.dumps(content).encode()
        )

        environment = other_machine.build(any_six)

        assert version_in(environment, "six") == "1.15.0"

    def test_refuses_a_file_that_is_not_the_one_that_was_decided(self, machine: Machine) -> None:
        machine.build(SIX)
        content = json.loads(machine.store.get(environment_key("shop", request_of(SIX).digest)))
        lines = content["lock"].splitlines()
        at = next(number for number, line in enumerate(lines) if line.startswith("six=="))
        lines[at + 1 : at + 3] = [f"    --hash=sha256:{'0' * 64}"]
        other = Packages({"six": "1.15"})
        machine.store.put_if_absent(
            environment_key("shop", request_of(other).digest),
            json.dumps({**content, "lock": "\n".join(lines) + "\n"}).encode(),
        )

        with pytest.raises(InvalidPackages, match=r"six==1\.15\.0"):
            machine.build(other)

    def test_is_for_one_platform_where_the_packages_are(
        self, machine: Machine, tmp_path: Path
    ) -> None:
        here = re.sub(r"\W", "_", sysconfig.get_platform())
        write_wheel(tmp_path / "wheels", "only-here", "1.0", platform=here)
        only_here = Packages({"only-here": ""})

        child = machine.child(only_here, UV_FIND_LINKS=str(tmp_path / "wheels"))
        folder = child.communicate()[0].strip()

        key = environment_key("shop", request_of(only_here).digest)
        assert version_in(Environment(folder, ""), "only-here") == "1.0"
        assert json.loads(machine.store.get(key))["platforms"] == [sys.platform]

    def test_for_another_platform_is_refused(self, machine: Machine) -> None:
        key = environment_key("shop", request_of(SIX).digest)
        content = {"lock": "six==1.15.0\n", "platforms": ["plan9"]}
        machine.store.put_if_absent(key, json.dumps(content).encode())

        with pytest.raises(InvalidPackages, match=r"six==1\.15\.0 were found for plan9 only"):
            machine.build(SIX)


class TestReuse:
    def test_needs_no_uv_no_network_and_no_store(
        self, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        built = machine.build(SIX)
        be_offline(monkeypatch, cache=tmp_path / "nothing")
        monkeypatch.setitem(sys.modules, "uv", None)
        monkeypatch.setenv("PATH", "")

        assert machine.find(SIX) == built
        assert machine.build(SIX) == built

    def test_is_shared_by_requests_that_came_to_the_same(self, machine: Machine) -> None:
        built = machine.build(SIX)

        assert machine.build(Packages({"six": "==1.15.0"})) == built
        assert len(built_folders(machine)) == 1

    def test_goes_without_network_on_a_machine_whose_uv_has_the_files(
        self, machine: Machine, other_machine: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        machine.build(SIX)
        be_offline(monkeypatch)

        environment = other_machine.build(SIX)

        assert version_in(environment, "six") == "1.15.0"

    def test_ends_when_its_interpreter_is_gone_and_it_is_built_again(
        self, machine: Machine
    ) -> None:
        built = machine.build(SIX)
        python = Path(built.python)
        python.unlink()
        python.symlink_to("/nowhere/python")

        assert machine.find(SIX) is None
        assert version_in(machine.build(SIX), "six") == "1.15.0"


def built_folders(machine: Machine) -> list[Path]:
    return [path.parent for path in machine.place.folder.glob("*/pyvenv.cfg")]


class TestProcesses:
    def test_that_build_at_once_build_one(self, machine: Machine) -> None:
        children = [machine.child(SIX) for _ in range(3)]

        said = {child.communicate()[0].strip() for child in children}

        assert {child.returncode for child in children} == {0}
        assert said == {str(each) for each in built_folders(machine)}
        assert len(said) == 1

    @pytest.mark.parametrize("point", FAULT_POINTS)
    def test_that_are_killed_in_the_middle_leave_nothing_in_the_way(
        self, machine: Machine, point: str
    ) -> None:
        killed = machine.child(SIX, EVENTFLOW_FAULT=point)
        killed.communicate()

        environment = machine.build(SIX)

        assert killed.returncode == -signal.SIGKILL
        assert version_in(environment, "six") == "1.15.0"
        assert not list(machine.place.folder.glob("*.partial"))


class TestIndex:
    def test_is_what_pip_is_told_to_use_where_uv_is_told_nothing(
        self, machine: Machine, tmp_path: Path
    ) -> None:
        write_wheel(tmp_path / "wheels", "only-here", "1.0")

        child = machine.child(Packages({"only-here": ""}), PIP_FIND_LINKS=str(tmp_path / "wheels"))
        folder = child.communicate()[0].strip()

        assert version_in(Environment(folder, ""), "only-here") == "1.0"

    def test_is_uvs_own_where_uv_is_told_one(self, machine: Machine, tmp_path: Path) -> None:
        write_wheel(tmp_path / "pip", "only-here", "1.0")
        write_wheel(tmp_path / "uv", "only-here", "2.0")

        child = machine.child(
            Packages({"only-here": ""}),
            PIP_FIND_LINKS=str(tmp_path / "pip"),
            UV_FIND_LINKS=str(tmp_path / "uv"),
        )
        folder = child.communicate()[0].strip()

        assert version_in(Environment(folder, ""), "only-here") == "2.0"


def write_wheel(folder: Path, name: str, version: str, platform: str = "any") -> None:
    """A package with one empty module."""
    folder.mkdir()
    module = name.replace("-", "_")
    about = f"{module}-{version}.dist-info"
    tags = f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-{platform}\n"
    files = {
        f"{module}.py": "",
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{about}/WHEEL": tags,
    }
    record = "".join(f"{each},,\n" for each in (*files, f"{about}/RECORD"))
    with ZipFile(folder / f"{module}-{version}-py3-none-{platform}.whl", "w") as wheel:
        for path, content in {**files, f"{about}/RECORD": record}.items():
            wheel.writestr(path, content)


class TestErrors:
    WRONG = (
        ({"eventflow-has-no-such-package": ""}, "eventflow-has-no-such-package was not found"),
        ({"six": "99.1"}, r"no version of six==99\.1"),
        ({"requests": "2.31.0", "urllib3": "1.20"}, r"requests==2\.31\.0 depends on urllib3"),
    )

    @pytest.mark.parametrize(("packages", "said"), WRONG)
    def test_name_what_cannot_be_had(
        self, machine: Machine, packages: dict[str, str], said: str
    ) -> None:
        with pytest.raises(InvalidPackages, match=said) as raised:
            machine.build(Packages(packages))

        assert "\n" not in str(raised.value)

    def test_say_that_no_index_answers(
        self, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("UV_DEFAULT_INDEX", NOWHERE.replace("//", "//ada:secret@"))
        monkeypatch.setenv("UV_HTTP_RETRIES", "0")
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "nothing"))

        with pytest.raises(EnvironmentUnavailable, match=r"six==1\.15\.0 cannot be had") as raised:
            machine.build(SIX)

        assert "secret" not in str(raised.value)

    def test_say_that_there_is_no_network(
        self, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        be_offline(monkeypatch, cache=tmp_path / "nothing")

        with pytest.raises(EnvironmentUnavailable, match="network was disabled"):
            machine.build(SIX)

    def test_say_which_python_is_missing(self, machine: Machine) -> None:
        with pytest.raises(EnvironmentUnavailable, match=r"no Python 3\.99 on this machine"):
            machine.build(Packages({"six": ""}, python="3.99"))

    def test_say_how_to_get_uv(self, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "uv", None)
        monkeypatch.setenv("PATH", "")

        with pytest.raises(EnvironmentUnavailable, match=r"pip install 'eventflow\[pypi\]'"):
            machine.build(SIX)


class TestDeploying:
    def test_decides_the_versions_so_that_a_runner_need_not(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lock_steps(machine.store, Effects(), "shop", graph_with(SIX))
        be_offline(monkeypatch)

        key = environment_key("shop", request_of(SIX).digest)
        standing = machine.store.get(key)
        environment = machine.build(SIX)

        assert version_in(environment, "six") == "1.15.0"
        assert machine.store.get(key) == standing

    @pytest.mark.usefixtures("machine")
    def test_is_refused_with_the_line_of_the_step_and_changes_nothing(self, tmp_path: Path) -> None:
        with closing(app.connect(Settings(home=tmp_path / "home"))) as world:
            new = NewVersion(
                namespace=Namespace.parse("shop/prod"),
                graph=graph_with(Packages({"six": "99.1"})),
                parameters=(),
                trigger=None,
                code=CodePackage("0" * 64, 0, "flow.py"),
                deployed_by="ada",
            )

            with pytest.raises(InvalidPackages, match=r"^flow\.py:1: step 'start': .*six==99\.1"):
                deploy(world, new, b"", echo=timedelta())

            assert list(versions(world)) == []


def graph_with(packages: Packages) -> FlowGraph:
    graph = line("start", "end")
    start, end = graph.steps
    return replace(graph, steps=(replace(start, policy=StepPolicy(packages=packages)), end))
