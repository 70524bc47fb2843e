"""Secrets come from where their source says; no error has a value, and the mask hides them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventflow.authoring.decorator import Declaration
from eventflow.authoring.step_decorators import secrets
from eventflow.errors import InvalidSecret
from eventflow.execution.secrets.fetching import set_secrets
from eventflow.execution.secrets.mask import Mask

VALUE = "hunter22-is-long"
ODD = "a\nb'\"c"


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """The environment as it was, afterwards."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def declared(*sources: object, **more: Any) -> list[Declaration]:
    """What `@secrets` with these sources declares."""
    declaration = secrets.declare({"sources": list(sources), **more}, place=("f.py", 1))
    assert declaration.mistakes == ()
    return [declaration]


def written(tmp_path: Path, text: str) -> dict[str, Any]:
    """A source that is a file with this text."""
    path = tmp_path / "db.env"
    path.write_text(text)
    return {"type": "file", "id": str(path)}


class TestBackends:
    def test_inline_values_are_set(self) -> None:
        source = {"type": "inline", "options": {"env_vars": {"DB_PASSWORD": VALUE, "DB_PORT": 1}}}

        values = set_secrets(declared(source))

        assert (os.environ["DB_PASSWORD"], os.environ["DB_PORT"]) == (VALUE, "1")
        assert values == (VALUE, "1")

    def test_a_variable_of_the_runner_may_get_another_name(self) -> None:
        os.environ["PROD_PASSWORD"] = VALUE
        source = {"type": "env", "id": "PROD_PASSWORD", "options": {"env_var_name": "DB_PASSWORD"}}

        values = set_secrets(declared("env.PROD_PASSWORD", source))

        assert os.environ["DB_PASSWORD"] == VALUE
        assert values == (VALUE, VALUE)

    def test_a_file_has_lines(self, tmp_path: Path) -> None:
        source = written(
            tmp_path,
            "# of the database\n\nexport DB_USER=ada\nDB_PASSWORD = 'a # b'\n"
            'DB_KEY="one\\ntwo \\"three\\""\nDB_HOST=localhost # here\n',
        )

        set_secrets(declared(source))

        assert os.environ["DB_USER"] == "ada"
        assert os.environ["DB_PASSWORD"] == "a # b"
        assert os.environ["DB_KEY"] == 'one\ntwo "three"'
        assert os.environ["DB_HOST"] == "localhost"

    def test_a_file_may_be_json_and_some_of_it_taken(self, tmp_path: Path) -> None:
        content = {"DB_PASSWORD": VALUE, "DB_PORT": 5432, "OTHER": "x"}
        source = written(tmp_path, json.dumps(content))

        set_secrets(declared({**source, "options": {"names": ["DB_PASSWORD", "DB_PORT"]}}))

        assert (os.environ["DB_PASSWORD"], os.environ["DB_PORT"]) == (VALUE, "5432")
        assert "OTHER" not in os.environ


class TestErrors:
    def test_a_variable_that_is_not_set(self) -> None:
        with pytest.raises(InvalidSecret, match=r"env\.NOT_THERE is not there: set NOT_THERE"):
            set_secrets(declared("env.NOT_THERE"))

    def test_a_file_that_is_not_there(self) -> None:
        with pytest.raises(InvalidSecret, match=r"file\./nowhere/db\.env cannot be read: No such"):
            set_secrets(declared("file./nowhere/db.env"))

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (VALUE, "has no NAME=value in line 1"),
            (f'{{"A": "{VALUE}"', "is no JSON: line 1, column"),
            (f"A B={VALUE}", "has the key 'A B', which cannot be a variable"),
            (f"EVENTFLOW_HOME={VALUE}", "would set EVENTFLOW_HOME, a setting"),
            ("# nothing", "is empty"),
        ],
    )
    def test_what_is_wrong_with_a_file_is_said_without_its_values(
        self, text: str, message: str, tmp_path: Path
    ) -> None:
        with pytest.raises(InvalidSecret, match=message) as caught:
            set_secrets(declared(written(tmp_path, text)))

        assert VALUE not in str(caught.value)
        assert caught.value.__cause__ is None

    def test_a_name_that_a_file_does_not_have(self, tmp_path: Path) -> None:
        source = written(tmp_path, f"A={VALUE}")

        with pytest.raises(InvalidSecret, match="has no B"):
            set_secrets(declared({**source, "options": {"names": ["A", "B"]}}))

    def test_two_sources_of_one_variable(self) -> None:
        os.environ["A"] = VALUE
        other = {"type": "inline", "id": "x", "options": {"env_vars": {"A": VALUE}}}

        with pytest.raises(InvalidSecret, match=r"env\.A and inline\.x both set A"):
            set_secrets(declared("env.A", other))

    def test_a_variable_that_is_set_already_unless_that_is_allowed(self) -> None:
        os.environ["A"] = "another"
        source = {"type": "inline", "id": "x", "options": {"env_vars": {"A": VALUE}}}

        with pytest.raises(InvalidSecret, match="would replace A"):
            set_secrets(declared(source))
        unchanged = os.environ["A"]
        set_secrets(declared(source, allow_override=True))

        assert (unchanged, os.environ["A"]) == ("another", VALUE)


class TestMask:
    @pytest.mark.parametrize(
        ("value", "text", "shown"),
        [
            (VALUE, f"no login with {VALUE}, {VALUE}", "no login with ***, ***"),
            (ODD, f"got {ODD!r}", "got '***'"),
            ("<&key>", "<b>&lt;&amp;key&gt;</b>", "<b>***</b>"),
            ('say "hi"', json.dumps({"a": 'say "hi"'}), '{"a": "***"}'),
            ("-- BEGIN --\nlong line\n-- END --", "x long line x", "x *** x"),
            ("pässwörd", "the pässwörd", "the ***"),
        ],
    )
    def test_hides_a_value_however_it_is_written(self, value: str, text: str, shown: str) -> None:
        mask = Mask([value])

        assert mask.text(text) == shown
        assert mask.data(text.encode()) == shown.encode()

    def test_the_longest_value_goes_first(self) -> None:
        assert Mask(["abcd", "abcdef"]).text("abcdef abcd") == "*** ***"

    @given(st.text("abc\n", max_size=40), st.lists(st.integers(1, 12), min_size=1, max_size=30))
    def test_of_a_stream_is_the_same_however_it_is_cut(self, text: str, sizes: list[int]) -> None:
        mask = Mask(["abcabc", "cabca\nbccabca", "ccccc", "abca"])
        stream, shown, rest = text.encode(), b"", b""

        for size in sizes:
            piece, stream = stream[:size], stream[size:]
            beginning, rest = mask.beginning(rest + piece)
            shown += beginning

        assert shown + mask.data(rest + stream) == mask.data(text.encode())

    def test_holds_back_no_more_than_may_become_a_secret(self) -> None:
        mask = Mask([VALUE])

        assert mask.beginning(b"no login with " + VALUE[:3].encode()) == (
            b"no login with ",
            VALUE[:3].encode(),
        )
        assert Mask().beginning(b"all of it") == (b"all of it", b"")

    def test_leaves_alone_what_is_too_short_to_be_secret(self) -> None:
        mask = Mask(["on", ""])

        assert mask.text("once upon") == "once upon"
        assert mask.data(b"once upon") == b"once upon"
