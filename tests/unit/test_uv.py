"""What uv is told about the machine's package index, and what its errors become. The program `uv`
is a script of the test: it writes down what it was told, and fails as it is told to."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventflow.errors import EnvironmentUnavailable, InvalidPackages
from eventflow.execution.environments import uv

SCRIPT = f"""#!{sys.executable}
import json, os, pathlib, sys
folder = pathlib.Path(sys.argv[0]).parent
(folder / "told").write_text(json.dumps(dict(os.environ)))
failure = folder / "failure"
if failure.exists():
    sys.exit(failure.read_text())
"""
NAMES = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS", "UV_INSECURE_HOST", "SSL_CERT_FILE")


class Machine:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        program = folder / "uv"
        program.write_text(SCRIPT)
        program.chmod(0o755)

    def configure_pip(self, text: str) -> None:
        (self.folder / "pip.conf").write_text(text)

    def told(self) -> dict[str, str]:
        """What uv hears of indexes and certificates."""
        uv.run_uv(["pip", "compile"], self.folder, "It fails")
        env = json.loads((self.folder / "told").read_text())
        return {name: env[name] for name in NAMES if name in env}

    def fail(self, stderr: str) -> None:
        (self.folder / "failure").write_text(stderr)
        uv.run_uv(["pip", "compile"], self.folder, "The packages x cannot be had")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    for name in [each for each in os.environ if each.startswith(("UV_", "PIP_"))]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setitem(sys.modules, "uv", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "more-config"))
    uv._pip_settings.cache_clear()
    machine = Machine(tmp_path)
    machine.configure_pip("[global]\nindex-url = https://pip/simple\ncert = /pip.pem\n")
    yield machine
    uv._pip_settings.cache_clear()


class TestIndex:
    def test_is_that_of_pips_configuration(self, machine: Machine) -> None:
        machine.configure_pip(
            "[global]\nindex-url = https://pip/simple\nextra-index-url =\n    https://a\n"
            "    https://b\n[install]\ntrusted-host = pip\nfind-links = https://c /nowhere\n"
        )

        told = machine.told()

        assert told.pop("SSL_CERT_FILE", "") != "/pip.pem"
        assert told == {
            "UV_DEFAULT_INDEX": "https://pip/simple",
            "UV_INDEX": "https://a https://b",
            "UV_FIND_LINKS": "https://c",
            "UV_INSECURE_HOST": "pip",
        }

    def test_is_that_of_pips_environment_before_its_files(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PIP_INDEX_URL", "https://environment/simple")

        told = machine.told()

        assert told["UV_DEFAULT_INDEX"] == "https://environment/simple"
        assert told["SSL_CERT_FILE"] == "/pip.pem"

    @pytest.mark.parametrize("name", ["UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS"])
    def test_is_uvs_own_where_its_environment_has_one(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        monkeypatch.setenv(name, "https://uv")

        assert machine.told() == {name: "https://uv", "SSL_CERT_FILE": "/pip.pem"}

    def test_is_uvs_own_where_it_has_a_file(self, machine: Machine) -> None:
        (machine.folder / "config" / "uv").mkdir(parents=True)
        (machine.folder / "config" / "uv" / "uv.toml").write_text("")

        assert machine.told() == {"SSL_CERT_FILE": "/pip.pem"}


class TestErrors:
    def test_have_the_words_of_uv_in_one_line(self, machine: Machine) -> None:
        said = (
            "  \u00d7 No solution found:\n  ╰─▶ Because x was not found,\n\n      nothing goes.\n"
        )

        with pytest.raises(InvalidPackages) as raised:
            machine.fail(said)

        assert str(raised.value) == (
            "The packages x cannot be had: No solution found: Because x was not found,"
            " nothing goes."
        )

    def test_have_the_first_and_the_last_of_many_lines(self, machine: Machine) -> None:
        with pytest.raises(InvalidPackages) as raised:
            machine.fail("\n".join(f"error: line {number}" for number in range(100)))

        assert str(raised.value).endswith(
            ": line 0 line 1 line 2 … line 95 line 96 line 97 line 98 line 99"
        )

    @pytest.mark.parametrize(
        "said",
        [
            "error: Failed to fetch: `https://ada:secret@index/simple/x/`\n  cause: dns error",
            "error: Request failed\n  cause: operation timed out",
            "hint: Packages were unavailable because the network was disabled.",
            "error: failed to write\n  cause: No space left on device (os error 28)",
        ],
    )
    def test_of_an_outage_are_for_who_runs_eventflow_and_have_no_credentials(
        self, machine: Machine, said: str
    ) -> None:
        with pytest.raises(EnvironmentUnavailable) as raised:
            machine.fail(said)

        assert "secret" not in str(raised.value)
