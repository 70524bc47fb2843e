"""Included files: what is read of them, what a run carries, and when a step loads it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eventflow import requesting
from eventflow.authoring.deploy_context import DeployContext
from eventflow.authoring.flow_spec import FlowSpec
from eventflow.authoring.include_file import IncludedFile, IncludeFile
from eventflow.authoring.included_files import read_files, store_files
from eventflow.authoring.parameter import Parameter
from eventflow.authoring.parameters import parameter_specs, values_of_run
from eventflow.authoring.triggers import compile_trigger, trigger_problems
from eventflow.context import World
from eventflow.errors import ArtifactReadOnly, InvalidParameter, ObjectMissing
from eventflow.model.deployment import CodePackage, Deployment, ParameterType
from eventflow.model.trigger import FieldMapping
from eventflow.store.artifacts import ArtifactRef, load_value, ref_from_text
from tests.support.authored import Author
from tests.support.flows import line

CONTEXT = DeployContext("F", "ann", "shop/prod")


class F(FlowSpec):
    sql = IncludeFile("sql", default="q.sql", help="the query")
    raw = IncludeFile("raw", is_text=False)
    old = IncludeFile("old", encoding="latin-1")
    rows = Parameter("rows", default=1)


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("q.sql").write_bytes("select 'ü'\r\n".encode())


class Loads:
    """Loads values, and notes it."""

    def __init__(self, value: object) -> None:
        self.value, self.times = value, 0

    def __call__(self, _: ArtifactRef) -> object:
        self.times += 1
        return self.value


def bound(flow_class: type, load: Loads, name: str = "sql") -> Any:
    ref = ArtifactRef(name, "d" * 64, 3, "json", "str", None)
    task: Any = flow_class(use_cli=False)
    task._bind({}, None, {name: IncludedFile(ref, load)})
    return task


def test_text_is_read_as_it_stands_and_bytes_are_bytes() -> None:
    Path("raw.bin").write_bytes(b"\xff\r\n")
    Path("old.txt").write_bytes("ü".encode("latin-1"))

    contents = read_files(F, CONTEXT, {"raw": "raw.bin", "old": "old.txt"})

    assert contents == {"sql": "select 'ü'\r\n", "raw": b"\xff\r\n", "old": "ü"}


def test_a_file_that_is_not_given_and_has_no_default_is_not_read() -> None:
    contents = read_files(F, CONTEXT, {})

    assert list(contents) == ["sql"]


def test_a_default_may_be_a_function_that_is_not_asked_when_a_path_is_given() -> None:
    asked: list[str | None] = []

    def path(context: DeployContext) -> str:
        asked.append(context.parameter_name)
        return "q.sql"

    class Asking(FlowSpec):
        sql = IncludeFile("sql", default=path)

    given = read_files(Asking, CONTEXT, {"sql": "q.sql"})
    assert asked == []

    assert read_files(Asking, CONTEXT, {}) == given
    assert asked == ["sql"]


def test_all_that_cannot_be_read_is_said_with_the_path_and_the_place() -> None:
    Path("raw.bin").write_bytes(b"ok \xff")

    class Wrong(FlowSpec):
        sql = IncludeFile("sql", default="nowhere.sql")
        text = IncludeFile("text")
        folder = IncludeFile("folder")
        odd = IncludeFile("odd", default=lambda _: 3)  # type: ignore[arg-type,return-value]
        failing = IncludeFile("failing", default=lambda _: str(1 / 0))

    with pytest.raises(InvalidParameter) as caught:
        read_files(Wrong, CONTEXT, {"text": "raw.bin", "folder": "."})

    sql, text, folder, odd, failing = str(caught.value).splitlines()
    assert sql.startswith(f"{__file__}:")
    assert f"Parameter 'sql': {Path('nowhere.sql').absolute()} cannot be read: No such" in sql
    assert text.startswith("Parameter 'text': ")
    assert "is no text in utf-8: byte 3 is 0xff. Say its encoding=" in text
    assert "Is a directory" in folder
    assert "its default is the path of a file, not 3" in odd
    assert "default of parameter 'failing' failed: ZeroDivisionError" in failing


def test_what_a_run_carries_is_a_small_reference_to_a_content_that_is_stored_once(
    world: World,
) -> None:
    contents: dict[str, str | bytes] = {
        "a": "x" * 1_000_000,
        "b": "x" * 1_000_000,
        "c": "small",
        "d": b"\0" * 10,
    }

    texts = store_files(world.store, "shop", contents)

    refs = {name: ref_from_text(name, text) for name, text in texts.items()}
    assert all(len(text) < 200 for text in texts.values())
    assert texts["a"] == texts["b"]
    assert len(list(world.store.list("projects/shop/blobs/"))) == 3
    assert {
        name: load_value(world.store, "shop", ref, allow_pickle=False) for name, ref in refs.items()
    } == contents


def test_the_values_of_a_run_have_the_references(world: World) -> None:
    values = values_of_run(F, CONTEXT, {"rows": "2"}, store=world.store, project="shop")

    ref = ref_from_text("sql", values["sql"])
    assert list(values) == ["rows", "sql"]
    assert (values["rows"], ref.type_name, ref.inline) == ("2", "str", None)


def test_nothing_is_stored_when_something_typed_is_wrong(world: World) -> None:
    with pytest.raises(InvalidParameter, match="'ten' is no value of type int"):
        values_of_run(F, CONTEXT, {"rows": "ten"}, store=world.store, project="shop")

    assert list(world.store.list("projects/")) == []


def test_a_required_file_has_to_be_given(world: World) -> None:
    class Required(FlowSpec):
        sql = IncludeFile("sql", required=True)

    with pytest.raises(InvalidParameter, match="'sql' has to be given"):
        values_of_run(Required, CONTEXT, {}, store=world.store, project="shop")


def test_a_deployment_knows_a_file_without_its_default() -> None:
    spec = parameter_specs(F)[0]

    assert (spec.type, spec.default, spec.help) == (ParameterType.FILE, None, "the query")


def test_a_deployment_knows_how_a_file_is_read() -> None:
    encodings = {spec.name: spec.encoding for spec in parameter_specs(F)}

    assert encodings == {"sql": "utf-8", "raw": None, "old": "latin-1", "rows": None}


def _deployed(world: World) -> Deployment:
    code, now = CodePackage("0" * 64, 0, "flow.py"), world.effects.clock.now()
    specs = parameter_specs(F)
    return Deployment("shop/prod", "F", 1, line("start", "end"), specs, None, code, now, "ann")


def test_a_requested_run_has_the_content_that_a_file_had_then(world: World) -> None:
    Path("raw.bin").write_bytes(b"\xff\r\n" * 400_000)
    Path("old.txt").write_bytes("ü".encode("latin-1"))
    given = {"sql": "q.sql", "raw": str(Path("raw.bin").absolute()), "old": "old.txt"}

    request = requesting.new_request(world, _deployed(world), {**given, "rows": "2"})
    for path in given.values():
        Path(path).unlink()

    refs = {name: ref_from_text(name, request.parameters[name]) for name in given}
    found = {
        name: load_value(world.store, "shop", ref, allow_pickle=False) for name, ref in refs.items()
    }
    assert found == {"sql": "select 'ü'\r\n", "raw": b"\xff\r\n" * 400_000, "old": "ü"}
    assert request.parameters["rows"] == "2"
    assert sum(map(len, request.parameters.values())) < 1_000


def test_a_request_that_is_not_made_reads_the_files_and_stores_nothing(world: World) -> None:
    given = {"sql": "q.sql", "raw": "q.sql"}

    request = requesting.new_request(world, _deployed(world), given, keeps_files=False)

    assert {name: request.parameters[name] for name in given} == given
    assert not list(world.store.list("projects/"))


def test_a_request_with_files_that_cannot_be_read_names_each(world: World) -> None:
    Path("raw.bin").write_bytes(b"\xff")
    given = {"sql": "raw.bin", "raw": "nowhere.bin"}

    with pytest.raises(InvalidParameter) as caught:
        requesting.new_request(world, _deployed(world), given)

    first, second = str(caught.value).splitlines()
    assert first.startswith("Parameter 'sql': ")
    assert "raw.bin is no text in utf-8: byte 0 is 0xff" in first
    assert second.startswith("Parameter 'raw': ")
    assert "nowhere.bin cannot be read: No such file or directory" in second


def test_no_event_gives_a_file(author: Author) -> None:
    body = (
        "@trigger(event='e')\nclass F(FlowSpec):\n    rows = Parameter('rows')\n"
        "    sql = IncludeFile('sql', required=True)\n"
    )
    flow = author.flow(body.replace(", required=True", ""))
    trigger = compile_trigger(flow, parameter_specs(flow))

    refused = author.flow(body)

    assert trigger is not None
    assert trigger.subscriptions[0].mappings == (FieldMapping("rows", "rows"),)
    (problem,) = trigger_problems(refused)
    assert "'sql' is a file and required, and no event gives a file" in problem.message


def test_a_step_loads_it_when_it_reads_it_and_once() -> None:
    load = Loads("select 1")
    task = bound(F, load)
    before = load.times

    seen = [task.sql, task.sql]

    assert (before, seen, load.times) == (0, ["select 1", "select 1"], 1)
    with pytest.raises(ArtifactReadOnly):
        task.sql = "select 2"


def test_a_task_leaves_the_reference_and_loads_nothing() -> None:
    load = Loads("select 1")

    made = bound(F, load)._new_artifacts()

    assert (made["sql"].ref.digest, load.times) == ("d" * 64, 0)
    assert {name: value for name, value in made.items() if name != "sql"} == {
        "raw": None,
        "old": None,
        "rows": None,
    }


def test_a_parser_makes_something_of_the_content_once() -> None:
    class Parsed(FlowSpec):
        data = IncludeFile("sql", parser=json.loads)
        broken = IncludeFile("broken", parser="json.loads")

    task, broken = bound(Parsed, Loads("[1]")), bound(Parsed, Loads("["), "broken")

    first = task.data

    assert first == [1]
    assert task.data is first
    with pytest.raises(
        InvalidParameter, match="file of parameter 'broken' cannot be parsed: JSOND"
    ):
        _ = broken.broken


def test_a_content_that_is_gone_is_an_error_of_the_store(world: World) -> None:
    text = store_files(world.store, "shop", {"sql": "select"})["sql"]
    ref = replace(ref_from_text("sql", text), digest="0" * 64)

    with pytest.raises(ObjectMissing):
        load_value(world.store, "shop", ref, allow_pickle=False)
