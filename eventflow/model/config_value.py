"""`ConfigValue`: a configuration as steps see it: a dict that is read, also by attribute."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from eventflow.errors import ArtifactMissing, ConfigReadOnly, ItemMissing

__all__ = ["ConfigValue", "plain"]


class ConfigValue(dict[str, Any]):
    """`config.table.name` is `config["table"]["name"]`.

    It cannot be changed. Mappings in it, also those in lists, are of this class. A key that is
    the name of a method of dict (`items`) is read with brackets.
    """

    __slots__ = ()

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__({key: _wrapped(value) for key, value in data.items()})

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain dicts, which may be changed."""
        return {key: plain(value) for key, value in self.items()}

    def copy(self) -> ConfigValue:
        """Itself: nothing changes it."""
        return self

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        raise ArtifactMissing(_lacks(self, name))

    def __missing__(self, key: object) -> NoReturn:
        raise ItemMissing(_lacks(self, key))

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(key for key in self if key.isidentifier())]

    def __copy__(self) -> ConfigValue:
        return self

    def __deepcopy__(self, _: object) -> ConfigValue:
        return self

    def __reduce__(self) -> tuple[type[ConfigValue], tuple[dict[str, Any]]]:
        return ConfigValue, (self.to_dict(),)

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise ConfigReadOnly(
            "A configuration cannot be changed: it is the same in every step. Change what"
            " to_dict() gives."
        )

    __setattr__ = __delattr__ = __setitem__ = __delitem__ = _refuse
    __ior__ = update = setdefault = pop = popitem = clear = _refuse


def plain(value: Any) -> Any:
    """A value with every ConfigValue in it as a dict."""
    if isinstance(value, ConfigValue):
        return value.to_dict()
    return [plain(each) for each in value] if isinstance(value, list) else value


def _wrapped(value: Any) -> Any:
    if isinstance(value, Mapping):
        return value if isinstance(value, ConfigValue) else ConfigValue(value)
    return [_wrapped(each) for each in value] if isinstance(value, list | tuple) else value


def _lacks(value: Mapping[str, Any], key: object) -> str:
    return f"The configuration has no {key!r}; it has: {', '.join(value) or 'nothing'}."
