"""Parameters of a flow: what is declared, checked; values from the command line, from JSON."""

from __future__ import annotations

import codecs
import inspect
import re
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING

from eventflow.authoring.config import Config, ConfigDeclaration
from eventflow.authoring.configs import config_texts, resolved_parameters, with_configs
from eventflow.authoring.flow_spec import RESERVED_NAMES
from eventflow.authoring.include_file import IncludeFile
from eventflow.authoring.included_files import computed, read_files, store_files
from eventflow.authoring.parsers import parser_mistake
from eventflow.authoring.source import place_of_attribute
from eventflow.errors import FlowProblem, InvalidParameter, InvalidPayload
from eventflow.model.deployment import ParameterSpec, ParameterType
from eventflow.model.payload import convert, decode_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from eventflow.authoring.deploy_context import DeployContext
    from eventflow.authoring.parameter import Parameter
    from eventflow.model.payload import Value
    from eventflow.store.port import Store

__all__ = [
    "RESERVED_OPTIONS",
    "parameter_problems",
    "parameter_specs",
    "read_values",
    "text_values",
    "values_of_run",
]

RESERVED_OPTIONS = frozenset(
    {
        # Options of the flow's command line, now or in Metaflow.
        *("branch", "decospecs", "help", "json", "max-log-size", "max-num-splits", "max-workers"),
        *("namespace", "obj", "origin-run-id", "params", "production", "run-id", "run-id-file"),
        *("runner-attribute-file", "tag", "tags", "task-id", "trigger", "trigger-event"),
        *("user-namespace", "with"),
    }
)
"""Names that no parameter can have; `-` and `_` are the same here."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_\-]*")
_TYPES = "str, int, float, bool or JSONType"
_PLAIN_FIELDS = ("required", "show_default", "separator", "is_text", "encoding")

_TYPED_BOOLS = {
    **dict.fromkeys(("t", "yes", "y", "on"), "true"),
    **dict.fromkeys(("f", "no", "n", "off"), "false"),
}
_EXPECTED = {
    ParameterType.INT: "a whole number of at most 64 bits",
    ParameterType.FLOAT: "a finite number",
    ParameterType.BOOL: "true or false",
    ParameterType.JSON: "JSON, which has strings in double quotes",
}


def parameter_problems(flow_class: type) -> list[FlowProblem]:
    """Every mistake in the declared parameters.

    Raises:
        InvalidConfig: what hangs on configurations cannot be known.
    """
    parameters = resolved_parameters(flow_class)
    problems: list[FlowProblem] = []
    seen: dict[str, str] = {}
    for attribute, parameter in parameters.items():
        place = place_of_attribute(flow_class, attribute)
        messages = [
            *_unknown(parameter),
            *_name_mistakes(attribute, parameter),
            *_value_mistakes(parameter),
        ]
        folded = str(parameter.name).lower().replace("-", "_")
        if folded in seen:
            messages.append(_clash(parameter.name, seen[folded]))
        seen.setdefault(folded, parameter.name)
        problems += [FlowProblem(message, *place) for message in messages]
    return problems


def parameter_specs(
    flow_class: type, context: DeployContext | None = None
) -> tuple[ParameterSpec, ...]:
    """The parameters of a flow as a deployment has them; defaults that are functions are asked.

    A configuration is one whose default is its value. The default of an included file is not in
    it: `read_files` reads that, and `store_files` says what stands for it.

    Raises:
        InvalidParameter: all defaults that are not of the type of their parameter, or failed.
        InvalidConfig: the configurations cannot be read.
    """
    context = with_configs(flow_class, context)
    configs = config_texts(flow_class)
    specs: list[ParameterSpec] = []
    mistakes: list[str] = []
    for attribute, declared in resolved_parameters(flow_class).items():
        try:
            specs.append(_spec(declared, context, configs))
        except InvalidParameter as error:
            file, line = place_of_attribute(flow_class, attribute)
            mistakes.append(f"{file}:{line}: {error}")
    if mistakes:
        raise InvalidParameter("\n".join(mistakes))
    return tuple(specs)


def values_of_run(
    flow_class: type,
    context: DeployContext,
    given: Mapping[str, str],
    *,
    store: Store,
    project: str,
) -> dict[str, str]:
    """The values of a run by hand, as JSON text by name, from what somebody typed: a path for an
    included file, JSON for JSONType. Defaults are filled in, and files are in the store.

    Raises:
        InvalidParameter: all that is wrong with what was typed, or with the files.
        InvalidConfig: the configurations cannot be read.
    """
    specs = parameter_specs(flow_class, context)
    files = {spec.name for spec in specs if spec.type is ParameterType.FILE}
    values = text_values(
        [spec for spec in specs if spec.name not in files],
        {name: text for name, text in given.items() if name not in files},
    )
    contents = read_files(flow_class, with_configs(flow_class, context), given)
    missing = [spec for spec in specs if spec.is_required and spec.name in files - contents.keys()]
    if missing:
        raise InvalidParameter("\n".join(map(_not_given, missing)))
    return {**values, **store_files(store, project, contents)}


def text_values(specs: Sequence[ParameterSpec], given: Mapping[str, str]) -> dict[str, str]:
    """The values of a run, as JSON text by name, from what somebody typed; defaults filled in.

    A value of type JSON is typed as JSON. Files are given apart: `read_file` reads them.

    Raises:
        InvalidParameter: all that is wrong: no such parameter, no value of its type, a required
            one that is not given.
    """
    known = {spec.name: spec for spec in specs}
    values = {spec.name: spec.default for spec in specs if spec.default is not None}
    mistakes: list[str] = []
    for name, text in given.items():
        if name not in known:
            mistakes.append(f"There is no parameter {name!r}; there is: {_listed(known)}.")
            continue
        try:
            values[name] = _from_typed(text, known[name].type)
        except InvalidParameter as error:
            mistakes.append(f"Parameter {name!r}: {error}")
    mistakes += [_not_given(spec) for spec in specs if spec.is_required and spec.name not in given]
    if mistakes:
        raise InvalidParameter("\n".join(mistakes))
    return values


def read_values(values: Mapping[str, str]) -> dict[str, Value]:
    """The values of a run, as its steps see them, from JSON text by name."""
    return {name: decode_value(text) for name, text in values.items()}


def _spec(
    parameter: Parameter, context: DeployContext, configs: Mapping[str, str]
) -> ParameterSpec:
    kind = parameter.type or ParameterType.STR
    text = configs.get(parameter.name) if kind is ParameterType.CONFIG else None
    if kind.is_mapped:
        text = _computed_default(parameter, kind, context)
    encoding = parameter.text_encoding if isinstance(parameter, IncludeFile) else None
    required, text_of_help = parameter.is_required, parameter.help
    return ParameterSpec(parameter.name, kind, text, required, text_of_help, encoding)


def _computed_default(
    parameter: Parameter, kind: ParameterType, context: DeployContext
) -> str | None:
    default: object = parameter.default
    if callable(default):
        default = computed(default, replace(context, parameter_name=parameter.name))
    return None if default is None else _default_text(parameter.name, default, kind)


def _default_text(name: str, default: object, kind: ParameterType) -> str:
    try:
        if kind is ParameterType.JSON and isinstance(default, str):
            return convert(decode_value(default), kind)
        return convert(default, kind)  # type: ignore[arg-type]  # convert refuses other types
    except (InvalidParameter, InvalidPayload) as error:
        said = str(error).replace("The payload", "it")
        raise InvalidParameter(f"The default of parameter {name!r}: {said}") from error


def _from_typed(text: str, kind: ParameterType) -> str:
    if kind is ParameterType.CONFIG:
        raise InvalidParameter("it is a configuration, set when the flow is deployed.")
    if not _is_unicode(text):
        raise InvalidParameter(f"{text[:80]!r} is no text in UTF-8.")
    try:
        if kind is ParameterType.JSON:
            return convert(decode_value(text), kind)
        is_bool = kind is ParameterType.BOOL
        return convert(_TYPED_BOOLS.get(text.lower(), text) if is_bool else text, kind)
    except (InvalidParameter, InvalidPayload) as error:
        said = str(error).removesuffix(".").replace("The payload", repr(text[:80]))
        raise InvalidParameter(f"{said}; write {_EXPECTED.get(kind, 'text')}.") from error


def _is_unicode(text: str) -> bool:
    """Whether no byte of it was kept as half a surrogate pair, as Python does with arguments."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _not_given(spec: ParameterSpec) -> str:
    return f"Parameter {spec.name!r} has to be given: it has no default."


def _clash(name: str, other: str) -> str:
    if name == other:
        return f"There are two parameters {name!r}: rename one."
    return (
        f"Parameter {name!r} differs from parameter {other!r} at most in the case of letters and"
        " in '-' and '_': rename one."
    )


def _unknown(parameter: Parameter) -> Iterator[str]:
    kind = Config if isinstance(parameter, ConfigDeclaration) else type(parameter)
    known = inspect.signature(kind).parameters.values()
    there = ", ".join(each.name for each in known if each.kind is not each.VAR_KEYWORD)
    for name in parameter.unknown:
        yield f"Parameter {parameter.name!r} has no option {name}=; there is: {there}."


def _name_mistakes(attribute: str, parameter: Parameter) -> Iterator[str]:
    name = parameter.name
    if not _NAME.fullmatch(str(name)):
        yield (
            f"A parameter cannot be called {name!r}: use letters, digits, '_' and '-', and a"
            " letter first."
        )
    elif (
        not isinstance(parameter, ConfigDeclaration)
        and name.lower().replace("_", "-") in RESERVED_OPTIONS
    ):
        yield f"A parameter cannot be called {name!r}: it is an option of the command line."
    if attribute in RESERVED_NAMES or attribute.startswith("_"):
        yield f"A parameter cannot be the attribute {attribute!r}: the name is taken. Rename it."


def _value_mistakes(parameter: Parameter) -> Iterator[str]:
    for field in _PLAIN_FIELDS:
        if callable(vars(parameter).get(field)):
            yield f"Parameter {parameter.name!r}: {field}= cannot be a function; only default= can."
    if isinstance(parameter, IncludeFile):
        yield from _file_mistakes(parameter)
        return
    kind = parameter.type
    if kind is None:
        yield f"Parameter {parameter.name!r}: its type has to be {_TYPES}."
    elif kind is not ParameterType.STR and parameter.separator is not None:
        yield f"Parameter {parameter.name!r}: only a str has a separator=: remove it."
    elif parameter.separator is not None and not _is_text(parameter.separator):
        yield f"Parameter {parameter.name!r}: separator= is text, not {parameter.separator!r}."
    elif kind.is_mapped and parameter.default is not None and not callable(parameter.default):
        try:
            _default_text(parameter.name, parameter.default, kind)
        except InvalidParameter as error:
            yield str(error)


def _file_mistakes(parameter: IncludeFile) -> Iterator[str]:
    name, default = parameter.name, parameter.default
    if default is not None and not isinstance(default, str | PurePath) and not callable(default):
        yield f"Parameter {name!r}: its default is the path of a file, not {default!r}."
    if mistake := parser_mistake(parameter.parser):
        yield f"Parameter {name!r}: {mistake}"
    try:
        codecs.lookup(parameter.encoding or "utf-8")
    except (LookupError, TypeError):
        yield f"Parameter {name!r}: there is no encoding {parameter.encoding!r}."


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(names) or "none"
