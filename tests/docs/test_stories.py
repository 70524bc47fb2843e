"""The code in the documents does what is written."""

from __future__ import annotations

import json
import os
import shutil
import sysconfig
from pathlib import Path

import pytest

from eventflow.codec.codec import Codec
from eventflow.model.event import EventRecord
from eventflow.model.topics import Topics
from tests.docs.documents import DOCUMENTS, ROOT, Block, blocks
from tests.docs.story import Story
from tests.support.cluster import Cluster

STORIES = ("README.md", "docs/guide.md", *(each for each in DOCUMENTS if "examples/" in each))
LANGUAGES = {"python", "sh", "console", "yaml", ""}
ALL = [block for document in DOCUMENTS if (ROOT / document).exists() for block in blocks(document)]


@pytest.fixture
def story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Story:
    """A reader with an empty folder, save for the schemas."""
    for name in [name for name in os.environ if name.startswith("EVENTFLOW_")]:
        monkeypatch.delenv(name)
    home, logs = tmp_path / "reader", tmp_path / "logs"
    home.mkdir()
    logs.mkdir()
    shutil.copytree(ROOT / "schemas", home / "schemas")
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    env = {"EVENTFLOW_HOME": str(home / ".eventflow"), "EVENTFLOW_USER": "ada", "PATH": path}
    return Story(home, Cluster(env, logs))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("document", STORIES)
def test_the_code_of_a_document_does_what_is_written(document: str, story: Story) -> None:
    played = [block for block in blocks(document) if not block.why_not_run]
    if document.startswith("examples/tutorials/"):  # they use what stands beside them
        shutil.copytree(ROOT / "examples" / "tutorials", story.folder / "tutorials")
        story.folder /= Path("tutorials", Path(document).parent.name)
    elif document.startswith("examples/"):
        shutil.copytree((ROOT / document).parent, story.folder, dirs_exist_ok=True)

    try:
        for block in played:
            story.play(block)
    finally:
        story.cluster.stop()

    assert played


@pytest.mark.parametrize("block", ALL, ids=str)
def test_a_block_is_in_a_language_that_is_played_or_only_shown(block: Block) -> None:
    assert block.language in LANGUAGES


@pytest.mark.parametrize("block", [each for each in ALL if each.language == "python"], ids=str)
def test_python_is_python_also_where_it_is_not_run(block: Block) -> None:
    compile(block.text, str(block), "exec")


def test_a_producer_without_eventflow_writes_what_eventflow_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (program,) = (each for each in blocks("docs/guide.md") if "def event_value" in each.text)
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {"__name__": "producer"}
    exec(program.text, names)  # noqa: S102 - it is ours, and shown to be right here
    make = names["event_value"]
    assert callable(make)

    value = make("orders_landed", "shop/*", {"rows": 48}, "orders-1")

    record = Codec(Topics()).decode(value)
    assert isinstance(record, EventRecord)
    assert (record.id, record.id_set, record.namespace) == ("orders-1", True, "shop/*")
    assert record.payload == b'{"rows": 48}'


def test_every_fingerprint_in_the_documents_is_that_of_todays_event() -> None:
    fingerprint = next(
        each.hex()
        for each, schema in Codec(Topics()).schemas.items()
        if json.loads(schema)["name"] == "Event"
    )

    text = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")

    assert f"`{fingerprint}`" in text
    assert f'"c301" + "{fingerprint}"' in text
    assert f"c301{fingerprint}" in text
