"""What an environment is to have: the packages of a step, and what eventflow needs to be there.

eventflow itself is not installed into environments: they use the runner's own. Its requirements
are, in the versions that the runner has wherever the packages of the step allow.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, requires, version
from typing import TYPE_CHECKING

from eventflow.errors import EnvironmentUnavailable
from eventflow.model.requirement import canonical_name, requirement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eventflow.model.policy import Packages

__all__ = ["Request", "own_versions", "request_of"]

_OURSELVES = "eventflow"
_NAME = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Request:
    """`requirements` are those of the step, `own` those of eventflow, both as an installer reads
    them; `python` is the version of the interpreter, `3.12` or `3.12.4`."""

    requirements: tuple[str, ...]
    own: tuple[str, ...]
    python: str

    @property
    def digest(self) -> str:
        """Equal for equal requests only."""
        content = json.dumps(asdict(self), separators=(",", ":"), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


def request_of(packages: Packages) -> Request:
    """What the packages of a step come to in this process.

    Raises:
        EnvironmentUnavailable: eventflow is not installed here, so what it needs is not known.
    """
    return Request(
        requirements=tuple(sorted(requirement(*each) for each in packages.packages.items())),
        own=_own_requirements(),
        python=packages.python or f"{sys.version_info[0]}.{sys.version_info[1]}",
    )


@cache
def _own_requirements() -> tuple[str, ...]:
    try:
        return tuple(sorted(_required(_OURSELVES)))
    except PackageNotFoundError as error:
        raise EnvironmentUnavailable(
            "eventflow is not installed here, so nobody says what an environment needs for it:"
            " install it, also a checkout (pip install --editable .)."
        ) from error


def own_versions() -> dict[str, str]:
    """What eventflow needs, and what that needs in turn, in the versions of this process."""
    found: dict[str, str] = {}
    names = [_OURSELVES]
    while names:
        name = canonical_name(names.pop())
        if name in found:
            continue
        try:
            found[name] = version(name)
            names += [_name_of(each) for each in _required(name)]
        except PackageNotFoundError:  # not needed on this platform
            continue
    del found[_OURSELVES]
    return found


def _required(name: str) -> Sequence[str]:
    """Without what only its extras need."""
    return [each for each in requires(name) or () if "extra ==" not in each]


def _name_of(required: str) -> str:
    found = _NAME.match(required)
    assert found is not None, "a requirement begins with a name"
    return found[0]
