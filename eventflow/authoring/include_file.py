"""`IncludeFile`: a file whose content a run is given.

The content is stored once, as the artifact that it becomes; a run's parameters and its tasks
carry the reference to it. It is loaded when a step reads it.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from eventflow.authoring.parameter import Parameter
from eventflow.authoring.parsers import find_parser
from eventflow.errors import InvalidParameter
from eventflow.model.deployment import ParameterType

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from eventflow.authoring.deploy_context import DeployContext
    from eventflow.authoring.flow_spec import FlowSpec
    from eventflow.store.artifacts import ArtifactRef

    Parser: TypeAlias = str | Callable[[Any], Any]

__all__ = ["IncludeFile", "IncludedFile"]


class IncludedFile:
    """The file of a run, as a task of it has it: a reference, and how to load what it is to."""

    def __init__(self, ref: ArtifactRef, load: Callable[[ArtifactRef], Any]) -> None:
        self.ref, self._load = ref, load
        self._parsed: list[Any] = []

    @cached_property
    def content(self) -> Any:
        """The content, loaded when it is first asked for."""
        return self._load(self.ref)

    def parsed(self, parse: Callable[[Any], Any]) -> Any:
        """What `parse` makes of the content, once."""
        if not self._parsed:
            self._parsed.append(parse(self.content))
        return self._parsed[0]


class IncludeFile(Parameter):
    """A parameter whose value is the content of a file: `--name path` on the command line.

    `default` is a path, or a function of a `DeployContext` that gives one; the file is read when
    the flow is deployed, or run by hand. Steps see a str, or with `is_text=False` bytes; with a
    `parser`, a function or `"module.function"`, what it makes of that.
    """

    def __init__(
        self,
        name: str = "",
        default: str | Callable[[DeployContext], str] | None = None,
        is_text: bool | None = True,
        encoding: str | None = "utf-8",
        required: bool | None = False,
        help: str | None = None,  # noqa: A002 - Metaflow's name of it
        *,
        parser: Parser | None = None,
        show_default: bool | None = True,
        **unknown: object,
    ) -> None:
        super().__init__(name, default, None, help, required, show_default)
        self.unknown = tuple(unknown)
        self.is_text = is_text
        self.encoding = encoding
        self.parser = parser

    @property
    def type(self) -> ParameterType:
        """`file`, always."""
        return ParameterType.FILE

    @property
    def text_encoding(self) -> str | None:
        """The encoding of its text; None when its content is bytes."""
        return None if self.is_text is False else self.encoding or "utf-8"

    def _value_in(self, flow: FlowSpec) -> Any:
        value = super()._value_in(flow)
        if not isinstance(value, IncludedFile):
            return value  # None: the run has no such file
        if self.parser is None:
            return value.content
        return value.parsed(self._parse)

    def _parse(self, content: Any) -> Any:
        assert self.parser is not None
        try:
            return find_parser(self.parser)(content)
        except Exception as error:
            raise InvalidParameter(
                f"The file of parameter {self.name!r} cannot be parsed: {type(error).__name__}:"
                f" {error}. Mend the file, or its parser."
            ) from error
