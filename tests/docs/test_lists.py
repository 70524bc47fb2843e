"""What the documents list is what the code has, neither less nor more."""

from __future__ import annotations

import ast
import json
import os
import re
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

import botocore
import click
import pytest
from prometheus_client import CollectorRegistry, Metric
from pydantic import BaseModel

from eventflow import errors
from eventflow.authoring.flow_spec import FlowSpec
from eventflow.bus.kafka.clients import Clients
from eventflow.cli.flow import _command_line
from eventflow.cli.main import cli
from eventflow.errors import EventflowError, InvalidSettings
from eventflow.metrics import ProcessMetrics, RunnerMetrics, TriggerMetrics
from eventflow.model.conclusions import Reason
from eventflow.model.decision import Verdict
from eventflow.model.topics import Topics
from eventflow.settings import _PROTOCOL_KEYS, KafkaSettings, Settings
from tests.docs.documents import DOCUMENTS, ROOT, Block, blocks, text_of, words_in_table

PACKAGE = ROOT / "eventflow"
EXIT_CODES_BESIDES = {0, 130}


# ── settings ─────────────────────────────────────────────────────────────────


def test_every_setting_is_listed_with_its_default() -> None:
    rows = re.findall(
        r"^\| `(EVENTFLOW_\w+)` \| (.+?) \|", text_of("docs/settings.md"), re.MULTILINE
    )

    assert dict(rows) == {name: _shown(default) for name, default in _settings(Settings)}
    assert len(rows) == len(dict(rows))


def test_every_key_of_librdkafka_that_is_refused_is_listed() -> None:
    listed = words_in_table("docs/settings.md", "key")

    assert sorted(listed) == sorted(_PROTOCOL_KEYS)


def _examples() -> list[Block]:
    found = [each for each in blocks("docs/settings.md") if "EVENTFLOW_KAFKA__CONFIG" in each.text]
    assert found
    return found


@pytest.mark.parametrize("block", _examples(), ids=str)
def test_an_example_of_kafka_settings_is_taken_by_the_client(block: Block) -> None:
    (text,) = re.findall(r"EVENTFLOW_KAFKA__CONFIG='(.*?)'", block.text, re.DOTALL)
    authorities = str(Path(botocore.__file__).with_name("cacert.pem"))
    config = json.loads(text.replace("/etc/kafka/ca.pem", authorities))
    settings = KafkaSettings(bootstrap_servers="127.0.0.1:9", config=config)

    if "/etc/kafka/client" not in text:
        Clients(settings).admin()
    else:  # the names are known, the files are not here
        with pytest.raises(InvalidSettings, match=r"ssl\.certificate\.location failed"):
            Clients(settings).admin()


def _settings(model: type[BaseModel], prefix: str = "EVENTFLOW_") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found += _settings(kind, f"{prefix}{name.upper()}__")
        else:
            found.append((prefix + name.upper(), field.get_default(call_default_factory=True)))
    return found


def _shown(default: Any) -> str:
    match default:
        case None:
            return "none"
        case timedelta():
            return f"{default.total_seconds():g} s"
        case bool() | dict():
            return f"`{json.dumps(default)}`"
        case str():
            return f"`{default}`"
    return str(default)


# ── metrics ──────────────────────────────────────────────────────────────────


def test_every_metric_is_listed_with_its_type_and_labels() -> None:
    row = r"^\| `(eventflow_\w+)` \| (\w+) \| ((?:`\w+`)?) ?\|"
    listed = re.findall(row, text_of("docs/metrics.md"), re.MULTILINE)

    assert sorted(listed) == sorted(_metrics())


def test_every_metric_in_a_suggested_alert_exists() -> None:
    names = {name for name, _, _ in _metrics()}
    (alerts,) = (each.text for each in blocks("docs/metrics.md") if each.language == "yaml")

    used = {each.removesuffix("_bucket") for each in re.findall(r"eventflow_\w+", alerts)}

    assert used <= names
    assert used


def _metrics() -> list[tuple[str, str, str]]:
    registry = CollectorRegistry()
    made: list[object] = [
        TriggerMetrics(registry),
        RunnerMetrics(registry),
        ProcessMetrics(registry),
    ]
    collectors = [each for metrics in made for each in vars(metrics).values()]
    return [_row(each._labelnames, each.describe()[0]) for each in collectors]


def _row(labels: tuple[str, ...], metric: Metric) -> tuple[str, str, str]:
    name = metric.name + ("_total" if metric.type == "counter" else "")
    return name, metric.type, ", ".join(f"`{label}`" for label in labels)


# ── the command line ─────────────────────────────────────────────────────────


def test_every_command_is_listed_in_the_guide() -> None:
    ours = [f"eventflow {path}" for path in _paths(cli)]
    of_a_flow = [f"python flow.py {path}" for path in _paths(_command_line(FlowSpec))]

    listed = words_in_table("docs/guide.md", "command")

    assert sorted(each for each in listed if not each.startswith("--")) == sorted(ours + of_a_flow)


def _said() -> list[tuple[str, str]]:
    """Each `eventflow …` in the shell blocks of all documents."""
    return [
        (str(block), line.removeprefix("$ "))
        for document in DOCUMENTS
        if (ROOT / document).exists()
        for block in blocks(document)
        if block.language in {"sh", "console"}
        for line in block.text.splitlines()
        if re.match(r"(\$ )?eventflow ", line)
    ]


@pytest.mark.parametrize(("place", "line"), _said())
def test_a_command_in_a_document_has_such_options(place: str, line: str) -> None:
    plain = re.sub(r"\$\(.*?\)", "…", line)
    words = re.split(r" [|#&>]", plain)[0].split()[1:]
    command: click.Command = cli
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None, place
        command = found

    command.make_context(command.name, words, resilient_parsing=False)


def _paths(group: click.Group, before: str = "") -> list[str]:
    context = click.Context(group)
    paths: list[str] = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            paths += _paths(command, f"{before}{name} ")
        else:
            paths.append(before + name)
    return paths


def test_every_exit_code_is_listed_in_the_guide() -> None:
    kinds = [each for each in vars(errors).values() if isinstance(each, type)]
    codes = {each.exit_code for each in kinds if issubclass(each, EventflowError)}

    listed = re.findall(r"^\| (\d+) \|", text_of("docs/guide.md"), re.MULTILINE)

    assert sorted(map(int, listed)) == sorted(codes | EXIT_CODES_BESIDES)


# ── words of the log ─────────────────────────────────────────────────────────


def test_every_verdict_is_listed_in_the_guide() -> None:
    listed = words_in_table("docs/guide.md", "verdict")

    assert sorted(listed) == sorted(each.value for each in Verdict)


def test_every_reason_of_a_dead_letter_is_listed_in_the_guide() -> None:
    said = {keyword.value.value for keyword in _keywords("reason")}

    listed = words_in_table("docs/guide.md", "reason")

    assert set(listed) == said | {each.value for each in Reason}
    assert len(listed) == len(set(listed))


def test_every_topic_is_listed_with_its_partitions_cleanup_and_retention() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \|(.+)\|$", text_of("docs/protocols.md"), re.MULTILINE)
    cells = {name: [cell.strip() for cell in rest.split("|")] for name, rest in rows}
    topics = Topics(prefix="", event_partitions=12, run_partitions=12)

    listed = {name: (row[3], row[4]) for name, row in cells.items() if len(row) == 7}

    assert listed == {
        spec.name: (
            spec.cleanup.value,
            f"{spec.retention.days} days" if spec.retention else "for ever",
        )
        for spec in topics.specs()
    }
    single = {name for name, row in cells.items() if len(row) == 7 and row[2] == "1"}
    assert single == {spec.name for spec in topics.specs() if spec.partitions == 1}


def test_every_fault_point_is_listed() -> None:
    calls = [node for tree in _trees() for node in ast.walk(tree) if isinstance(node, ast.Call)]
    reached = {
        call.args[0].value
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr == "reach"
        if isinstance(call.args[0], ast.Constant)
    }
    section = text_of("docs/protocols.md").partition("**Fault points**")[2]
    rows = "\n".join(line for line in section.splitlines() if line.startswith("|"))

    listed = re.findall(r"`([\w-]+\.[\w-]+)`", rows)

    assert sorted(listed) == sorted(map(str, reached))


def test_the_layers_are_those_that_the_linter_checks() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    (layers,) = (each["layers"] for each in contracts if each["id"] == "layers")
    (figure,) = re.findall(
        r"<!-- layers: .*? -->\n```\n(.*?)```", text_of("ARCHITECTURE.md"), re.DOTALL
    )

    assert figure.split("\n")[:-1] == [re.sub(r"[()]", "", each) for each in layers]


def test_every_package_has_its_paragraph_in_the_architecture() -> None:
    there = {
        path.name + ("/" if path.is_dir() else "")
        for path in PACKAGE.iterdir()
        if (path / "__init__.py").exists() or path.suffix == ".py"
    }

    described = set(re.findall(r"^\*\*([\w./]+)\*\*", text_of("ARCHITECTURE.md"), re.MULTILINE))

    assert described - {"schemas/"} == there - {"__init__.py"}


def test_every_noun_of_the_model_is_in_the_glossary() -> None:
    glossary = text_of("docs/glossary.md")
    trees = [_tree(path) for path in (PACKAGE / "model").glob("*.py")]
    classes = [node.name for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)]

    missing = [
        name
        for name in classes
        if name[0] != "_" and f"**{name}**" not in glossary and f"`{name}`" not in glossary
    ]

    assert missing == []


def test_every_word_of_the_code_in_the_glossary_is_a_word_of_the_code() -> None:
    nouns = re.findall(r"\*\*([A-Z]\w*[a-z][A-Z]\w+)\*\*", text_of("docs/glossary.md"))
    names = {
        node.id if isinstance(node, ast.Name) else node.name
        for tree in _trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef | ast.Name)
    }

    assert [each for each in nouns if each not in names] == []
    assert nouns


def _keywords(name: str) -> list[Any]:
    """`name="…"` in calls."""
    return [
        keyword
        for tree in _trees()
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        for keyword in call.keywords
        if keyword.arg == name
        if isinstance(keyword.value, ast.Constant) and keyword.value.value
    ]


def _trees() -> list[ast.Module]:
    return [_tree(path) for path in PACKAGE.rglob("*.py")]


def _tree(path: Path | os.PathLike[str]) -> ast.Module:
    return ast.parse(Path(path).read_text(encoding="utf-8"))
