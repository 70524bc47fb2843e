"""The options of a flow's command line for its parameters and configurations."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from eventflow.cli.flow import _command_line
from eventflow.cli.flow_parameters import given_parameters, variable_of
from eventflow.errors import InvalidFlow, InvalidParameter
from tests.support.authored import Author

FLOW = """
class F(FlowSpec):
    config = Config("config", help="where it runs", default_value={"rows": 3})
    day = Parameter("day", required=True, help="which day")
    rows = Parameter("Max-Rows", default=config.rows)
    hidden = Parameter("hidden", default="x", show_default=False)
    late = Parameter("late", default=lambda context: context.flow_name)
    sql = IncludeFile("sql", default="q.sql", help="the query")
    options = Parameter("options", type=JSONType, default={"a": [1]})
    @step
    def start(self):
        self.next(self.end)
    @step
    def end(self): ...
"""


def said(flow: type, *words: str, **env: str) -> Result:
    return CliRunner().invoke(_command_line(flow), words, env=env)


def test_help_says_what_each_parameter_is_and_its_default(author: Author) -> None:
    flow = author.flow(FLOW)

    lines = [" ".join(line.split()) for line in said(flow, "run", "--help").output.splitlines()]

    assert lines[-7:] == [
        "--day STR which day (required)",
        "--Max-Rows INT (default: 3)",
        "--hidden STR",
        "--late STR (default: computed when it is run or deployed)",
        "--sql FILE the query (default: q.sql)",
        '--options JSON (default: {"a": [1]})',
        "-h, --help Show this message and exit.",
    ]


def test_configurations_are_read_before_the_options_of_parameters_are_made(author: Author) -> None:
    flow = author.flow(FLOW)

    result = said(flow, "--config-value", "config", '{"rows": 9}', "run", "--help")

    assert "(default: 9)" in result.output


def test_help_of_the_flow_lists_its_configurations_where_there_are_any(author: Author) -> None:
    with_one = author.flow(FLOW)
    without = author.flow(
        FLOW.replace("config.rows", "3").replace("    config =", "    # config =")
    )

    helps = [said(each, "--help").output for each in (with_one, without)]

    assert "There is config (where it runs)." in " ".join(helps[0].split())
    assert "--config" not in helps[1]
    assert said(without, "--config", "config", "x", "check").exit_code == 2


def test_a_flow_with_mistakes_says_them_instead_of_not_knowing_its_options(author: Author) -> None:
    flow = author.flow(FLOW.replace('"hidden"', '"with"'))

    result = said(flow, "run", "--day", "1")

    assert isinstance(result.exception, InvalidFlow)
    assert "an option of the command line" in str(result.exception)


@pytest.mark.parametrize(
    ("value", "message"),
    [("{", "EVENTFLOW_FLOW_CONFIG is no JSON"), ("[]", "EVENTFLOW_FLOW_CONFIG has to be {")],
)
def test_a_variable_that_cannot_be_read_is_named(author: Author, value: str, message: str) -> None:
    flow = author.flow(FLOW)

    result = said(flow, "check", EVENTFLOW_FLOW_CONFIG=value)

    assert isinstance(result.exception, InvalidParameter)
    assert message in str(result.exception)


def test_an_option_wins_over_a_variable_name_by_name(
    author: Author, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("one.json").write_text('{"x": "one file"}')
    flow = author.flow(
        "class F(FlowSpec):\n    one = Config('one')\n    two = Config('two')\n"
        "    a = Parameter('a', default=one.x)\n    b = Parameter('b', default=two.x)\n"
        + FLOW.partition('{"a": [1]})\n')[2]
    )
    env = {
        "EVENTFLOW_FLOW_CONFIG": '{"one": "nowhere"}',
        "EVENTFLOW_FLOW_CONFIG_VALUE": '{"two": {"x": "two variable"}}',
    }

    output = said(flow, "--config", "one", "one.json", "run", "--help", **env).output

    assert "(default: one file)" in output
    assert "(default: two variable)" in output


def test_the_variable_of_a_parameter_is_its_name_in_capitals() -> None:
    assert variable_of("Max-Rows") == "EVENTFLOW_RUN_MAX_ROWS"


def test_what_is_typed_wins_over_the_variable(
    author: Author, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = author.flow(FLOW)
    command = _command_line(flow).commands["run"]
    monkeypatch.setenv("EVENTFLOW_RUN_DAY", "monday")
    monkeypatch.setenv("EVENTFLOW_RUN_MAX_ROWS", "4")

    values = command.make_context("run", ["--day", "tuesday"]).params

    assert given_parameters(flow, values) == {"day": "tuesday", "Max-Rows": "4"}
