"""Configurations: where their values come from, and what expressions of them become."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from eventflow.authoring.configs import (
    MOST_BYTES,
    bind_configs,
    config_problems,
    config_texts,
    config_values,
    give_configs,
    has_expressions,
    resolved,
)
from eventflow.authoring.deploy_context import DeployContext
from eventflow.authoring.graph import check
from eventflow.authoring.parameters import parameter_specs
from eventflow.authoring.project import project_of
from eventflow.authoring.trigger_declarations import declarations_of
from eventflow.authoring.triggers import compile_trigger, trigger_problems
from eventflow.errors import ArtifactMissing, ArtifactReadOnly, InvalidConfig, InvalidFlow
from eventflow.model.config_value import ConfigValue
from eventflow.model.deployment import ParameterSpec, ParameterType
from eventflow.model.trigger import FieldMapping, Source, Subscription, Trigger
from tests.support.authored import Author

if TYPE_CHECKING:
    from eventflow.authoring.flow_spec import FlowSpec

STEPS = """
    @step
    def start(self):
        self.next(self.end)
    @step
    def end(self): ...
"""

SHOP = """
import statistics
NAMES = config_expr("cfg")

@project(name=config_expr("cfg.project.lower()"))
@trigger(event={"name": config_expr("cfg").events[0], "parameters": {"rows": NAMES.field}})
class F(FlowSpec):
    cfg = Config("cfg", default="cfg.json")
    rows = Parameter("rows", default=cfg.rows, help=cfg.text.help)
    mean = config_expr("statistics.mean(cfg.numbers)")
    parts = Parameter("parts", separator=cfg["text"]["comma"])
"""

VALUE: dict[str, Any] = {
    "project": "SHOP",
    "events": ["landed"],
    "field": "n",
    "rows": 7,
    "numbers": [1, 2, 3],
    "text": {"help": "how many", "comma": ","},
    "name": "the name",
}


def flow(author: Author, body: str) -> type:
    return author.flow(body + STEPS)


def bound(flow_class: type, **parameters: object) -> FlowSpec:
    task: FlowSpec = flow_class(use_cli=False)
    task._bind({}, None, parameters)
    return task


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(value: object, name: str = "cfg.json") -> None:
    Path(name).write_text(value if isinstance(value, str) else json.dumps(value))


def mistakes(flow_class: type) -> list[str]:
    return [str(each).partition(": ")[2] for each in config_problems(flow_class)]


class TestValues:
    def test_the_file_of_the_default_is_read_when_a_value_is_asked_for(
        self, author: Author
    ) -> None:
        shop = flow(author, SHOP)  # there is no file yet: importing needs none

        write(VALUE)

        assert config_values(shop)["cfg"].text.comma == ","
        assert json.loads(config_texts(shop)["cfg"]) == VALUE

    def test_what_is_given_wins_over_the_default(self, author: Author) -> None:
        write({"a": 1})
        write({"a": 2}, "other.json")
        body = "class F(FlowSpec):\n    cfg = Config('cfg', default='cfg.json')\n"
        by_file, by_value = flow(author, body), flow(author, body)

        give_configs(by_file, {"cfg": "other.json"}, {})
        give_configs(by_value, {}, {"cfg": '{"a": 3}'})

        assert [config_values(each)["cfg"].a for each in (by_file, by_value)] == [2, 3]

    def test_a_default_value_may_be_a_dict_or_text_or_a_function(self, author: Author) -> None:
        made = flow(
            author,
            """
class F(FlowSpec):
    a = Config("a", default_value={"x": 1})
    b = Config("b", default_value='{"x": 2}')
    c = Config("c", default_value=lambda context: {"x": context.flow_name + context.parameter_name})
    d = Config("d", default=lambda context: context.parameter_name + ".json")
    e = Config("e")
""",
        )
        write({"x": 4}, "d.json")

        values = config_values(made)

        assert {name: value and value.x for name, value in values.items()} == {
            "a": 1,
            "b": 2,
            "c": "Fc",
            "d": 4,
            "e": None,
        }

    def test_a_parser_reads_other_formats_and_plain_keeps_what_it_gives(
        self, author: Author
    ) -> None:
        made = flow(
            author,
            """
import tomllib
class F(FlowSpec):
    toml = Config("toml", default="a.toml", parser=tomllib.loads)
    named = Config("named", default="a.toml", parser="tomllib.loads")
    lines = Config("lines", default="a.toml", parser=str.splitlines, plain=True)
    text = Config("text", default="a.toml", plain=True)
""",
        )
        write("[table]\nname = 'x'\n", "a.toml")

        values = config_values(made)

        assert (values["toml"].table.name, values["named"].table.name) == ("x", "x")
        assert values["lines"] == ["[table]", "name = 'x'"]
        assert values["text"] == "[table]\nname = 'x'\n"

    def test_they_are_read_once(self, author: Author) -> None:
        made = flow(author, "class F(FlowSpec):\n    cfg = Config('cfg', default='cfg.json')\n")
        write({"a": 1})
        first = config_values(made)

        write({"a": 2})

        assert config_values(made) == first

    def test_a_value_is_what_a_run_will_carry_and_not_what_a_parser_made(
        self, author: Author
    ) -> None:
        made = flow(
            author,
            """
class F(FlowSpec):
    cfg = Config("cfg", default_value="1 2", parser=lambda text: {"parts": tuple(text.split())})
""",
        )

        value = config_values(made)["cfg"]

        assert value.parts == ["1", "2"]


class TestMistakes:
    @pytest.mark.parametrize(
        ("declared", "message"),
        [
            (
                "default='nowhere.json'",
                r"'c' cannot be read: /.*nowhere.json cannot be read: No such",
            ),
            ("default='list.json'", "its value is a list, and a JSON object"),
            (
                "default='broken.json'",
                r"broken.json is no JSON: .*; say parser= for another format",
            ),
            ("default='latin.json'", r"latin.json is no UTF-8"),
            ("default='.'", r"cannot be read: Is a directory"),
            ("default=3", "its default is a path, not 3"),
            ("default=lambda c: 1 / 0", "its default failed: ZeroDivisionError"),
            ("default='a', default_value={}", "default= and default_value=: keep one"),
            ("required=True", "it is required: give --config c FILE or --config-value c JSON"),
            ("default_value='x', parser='nothing.there'", "cannot be parsed: ModuleNotFoundError"),
            ("default_value='x', parser='json.nothing'", "module 'json' has no 'nothing'"),
            ("default_value='x', parser=3", "parser=3 is neither a function nor the name of one"),
            ("default_value='x', parser=str.split", "its value is a list"),
            ("default_value={'x': {1, 2}}", r"its value's x holds a value of type set"),
            ("default_value={'x': 'x' * 140_000}", "at most 131072 are allowed: .* an IncludeFile"),
        ],
    )
    def test_what_cannot_be_read_is_said_with_its_place(
        self, author: Author, declared: str, message: str
    ) -> None:
        write([1], "list.json")
        write("{", "broken.json")
        Path("latin.json").write_bytes('{"a": "ü"}'.encode("latin-1"))
        made = flow(author, f"class F(FlowSpec):\n    c = Config('c', {declared})\n")

        with pytest.raises(InvalidConfig, match=message) as caught:
            config_values(made)

        (problem,) = caught.value.problems
        file = sys.modules[made.__module__].__file__
        line = 2 if "allowed" in problem.message else 3
        assert (problem.file, problem.line) == (file, line)
        assert check(made) == list(caught.value.problems)

    def test_all_that_is_wrong_with_what_is_given_is_said_at_once(self, author: Author) -> None:
        made = flow(author, "class F(FlowSpec):\n    a = Config('a')\n    b = Config('b')\n")

        give_configs(made, {"a": "nowhere", "cgf": "x"}, {"a": "{}", "b": "{"})

        assert [each.partition(": ")[0] for each in mistakes(made)] == [
            "There is no configuration 'cgf' to give a value to; there is",
            "Configuration 'a' cannot be read",
            "Configuration 'b' cannot be read",
        ]

    def test_as_much_as_is_allowed_is(self, author: Author) -> None:
        made = flow(author, "class F(FlowSpec):\n    a = Config('a', plain=True)\n")

        give_configs(made, {}, {"a": "x" * (MOST_BYTES - 2)})

        assert len(config_texts(made)["a"]) == MOST_BYTES

    def test_every_expression_that_cannot_be_evaluated_has_its_line(self, author: Author) -> None:
        made = flow(author, SHOP)
        write({"project": 3, "numbers": [], "events": [], "text": {"help": "", "comma": ","}})

        problems = check(made)

        found = sorted((each.line, each.message.partition(". ")[0]) for each in problems)
        assert [line for line, _ in found] == [4, 6, 7, 10, 11]
        assert found[1][1].startswith("cfg.project.lower() cannot be evaluated: AttributeError")
        assert (
            "cfg.rows cannot be evaluated: LookupError: there is no 'rows'; there is:"
            in found[3][1]
        )
        with pytest.raises(InvalidFlow):
            declarations_of(made)

    def test_an_expression_of_a_configuration_without_a_value_says_so(self, author: Author) -> None:
        made = flow(
            author,
            "class F(FlowSpec):\n    cfg = Config('cfg')\n    a = Parameter('a', default=cfg.a)\n",
        )

        (mistake,) = mistakes(made)

        assert "cfg.a cannot be evaluated" in mistake
        assert "The configurations are: cfg (no value)." in mistake

    def test_an_expression_in_a_flow_without_configurations_is_a_mistake(
        self, author: Author
    ) -> None:
        made = flow(
            author, "class F(FlowSpec):\n    a = Parameter('a', default=config_expr('cfg.a'))\n"
        )

        (mistake,) = mistakes(made)

        assert "name 'cfg' is not defined. The configurations are: none." in mistake

    def test_an_expression_inside_of_a_constant_is_refused(self, author: Author) -> None:
        made = flow(
            author,
            "class F(FlowSpec):\n    cfg = Config('cfg', default_value={})\n"
            "    options = {'a': [cfg.a]}\n",
        )

        assert "write the whole constant as one config_expr" in mistakes(made)[0]

    @pytest.mark.parametrize(
        ("used", "message"),
        [
            ("f'{cfg.a}'", "cfg.a cannot be formatted"),
            ("list(cfg.a)", "cfg.a cannot be looped over or unpacked"),
            ("cfg.a.upper()", "cfg.a.upper cannot be called"),
            ("dict(**cfg.a)", "cfg.a.keys cannot be called"),
            ("1 if cfg.a else 2", "cfg.a cannot be true or false"),
            ("cfg.a == 1", "cfg.a cannot be compared"),
            ("cfg.a != 1", "cfg.a cannot be compared"),
        ],
    )
    def test_what_has_no_value_yet_cannot_be_used_as_one(
        self, author: Author, used: str, message: str
    ) -> None:
        body = f"class F(FlowSpec):\n    cfg = Config('cfg')\n    x = {used}\n"

        with pytest.raises(InvalidConfig, match=message) as caught:
            flow(author, body)

        assert caught.value.problems[0].line == 4
        assert "config_expr" in str(caught.value)


class TestWhereTheyAreUsed:
    def test_decorators_and_parameters_have_the_values(self, author: Author) -> None:
        shop = flow(author, SHOP)
        write(VALUE)

        specs = parameter_specs(shop, DeployContext("F", "ann"))

        assert check(shop) == []
        assert trigger_problems(shop) == []
        assert project_of(shop) == "shop"
        assert specs[1] == ParameterSpec("rows", ParameterType.INT, "7", False, "how many")
        assert compile_trigger(shop, specs) == Trigger(
            Source.EVENT, (Subscription("landed", (FieldMapping("rows", "n"),)),)
        )

    def test_a_deployment_has_the_value_as_the_default_of_a_parameter(self, author: Author) -> None:
        shop = flow(author, SHOP)
        write(VALUE)

        spec = parameter_specs(shop)[0]

        assert (spec.name, spec.type, spec.is_required) == ("cfg", ParameterType.CONFIG, False)
        assert json.loads(spec.default or "") == VALUE

    def test_no_event_gives_a_configuration(self, author: Author) -> None:
        made = flow(
            author,
            "@trigger(event='e')\nclass F(FlowSpec):\n"
            "    cfg = Config('cfg', default_value={})\n    a = Parameter('a')\n",
        )

        trigger = compile_trigger(made, parameter_specs(made))

        assert trigger is not None
        assert trigger.subscriptions[0].mappings == (FieldMapping("a", "a"),)

    def test_functions_of_the_context_see_them(self, author: Author) -> None:
        made = flow(
            author,
            """
@trigger(event=lambda context: context.configs.cfg.event)
class F(FlowSpec):
    cfg = Config("cfg", default_value={"event": "landed"})
    a = Parameter("a", default=lambda context: context.configs.cfg.event)
""",
        )

        specs = parameter_specs(made, DeployContext("F", "ann"))

        assert specs[1].default == '"landed"'
        trigger = compile_trigger(made, specs, DeployContext("F", "ann"))
        assert trigger is not None
        assert trigger.subscriptions[0].name == "landed"

    def test_an_expression_is_one_itself_wherever_a_function_of_the_context_is(
        self, author: Author
    ) -> None:
        expression = flow(author, SHOP).__dict__["mean"]

        value = expression(DeployContext("F", "ann", configs=ConfigValue({"cfg": VALUE})))

        assert value == 2

    def test_resolving_replaces_expressions_however_deep_and_nothing_else(
        self, author: Author
    ) -> None:
        shop = flow(author, SHOP)
        write(VALUE)
        cfg, thing = shop.__dict__["cfg"], object()

        value = resolved(shop, {"a": [cfg.text, (cfg.events[0], thing)], cfg.field: {cfg.rows}})

        assert value == {"a": [VALUE["text"], ("landed", thing)], "n": {7}}
        assert type(value["a"][0]) is dict
        assert has_expressions({"a": [(cfg.text, thing)]})
        assert not has_expressions(value)

    def test_what_has_no_expression_is_the_same_thing_and_is_only_looked_at(
        self, author: Author
    ) -> None:
        made = flow(
            author,
            "class F(FlowSpec):\n    cfg = Config('cfg')\n    lines = iter('ab')\n"
            "    itself = []\n    itself.append(itself)\n"
            "    p = Parameter('p', default=itself)\n",
        )
        thing = {"a": [object()]}

        problems = check(made)

        assert resolved(made, thing) is thing
        assert list(made.__dict__["lines"]) == ["a", "b"]
        assert ["contains itself" in each.message for each in problems] == [True]

    def test_a_key_may_have_the_name_of_anything(self, author: Author) -> None:
        shop = flow(author, SHOP)
        write({**VALUE, "items": 1, "default": 2, "type": 3})
        cfg = shop.__dict__["cfg"]

        values = resolved(shop, [cfg.name, cfg["items"], cfg.default, cfg.type, cfg.items])

        assert values == ["the name", 1, 2, 3, 1]

    def test_python_may_look_at_a_configuration_and_an_expression(self, author: Author) -> None:
        cfg = flow(author, SHOP).__dict__["cfg"]

        looks = (hasattr(cfg, "__len__"), copy.copy(cfg.a), repr(cfg.a["b c"][0]))

        assert looks[0] is False
        assert looks[2] == "config_expr(\"cfg.a['b c'][0]\")"


class TestInATask:
    def test_steps_see_what_the_run_carries_and_no_file_is_read(self, author: Author) -> None:
        task = bound(flow(author, SHOP), cfg=VALUE, rows=1, parts="a,b")

        assert (task.cfg.text.comma, task.cfg["rows"]) == (",", 7)
        assert (task.mean, task.rows, task.parts) == (2, 1, ["a", "b"])
        assert task._new_artifacts() == {
            "cfg": VALUE,
            "mean": 2,
            "rows": 1,
            "parts": ["a", "b"],
        }

    def test_a_configuration_without_a_value_is_none(self, author: Author) -> None:
        made = flow(author, "class F(FlowSpec):\n    cfg = Config('cfg', default='nowhere')\n")

        task = bound(made)

        assert task.cfg is None

    def test_a_plain_one_is_as_it_is(self, author: Author) -> None:
        made = flow(author, "class F(FlowSpec):\n    cfg = Config('cfg', plain=True)\n")

        task = bound(made, cfg={"a": {}})

        assert type(task.cfg) is dict

    def test_neither_a_configuration_nor_a_constant_of_one_can_be_set(self, author: Author) -> None:
        task = bound(flow(author, SHOP), cfg=VALUE)

        for name in ("cfg", "mean"):
            with pytest.raises(ArtifactReadOnly, match="the same in every step"):
                setattr(task, name, 1)

    def test_outside_of_a_run_there_is_no_value(self, author: Author) -> None:
        task = flow(author, SHOP)(use_cli=False)

        for name in ("cfg", "mean"):
            with pytest.raises(ArtifactMissing, match="no value outside of a run"):
                getattr(task, name)

    def test_what_a_decorator_kept_is_resolved_by_the_values_of_the_run(
        self, author: Author
    ) -> None:
        shop = flow(author, SHOP)
        expression = shop.__dict__["cfg"].text.comma

        bind_configs(shop, {"cfg": VALUE})

        assert resolved(shop, {"vars": [expression]}) == {"vars": [","]}

    def test_a_class_that_inherits_has_values_of_its_own(self, author: Author) -> None:
        shop = flow(author, SHOP)
        child = type("Child", (shop,), {})

        give_configs(shop, {}, {"cfg": '{"rows": 1}'})
        give_configs(child, {}, {"cfg": '{"rows": 2}'})

        assert [config_values(each)["cfg"].rows for each in (shop, child)] == [1, 2]
