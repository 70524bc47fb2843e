"""`@project`, and the namespace that a flow lives in."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeVar

from eventflow.authoring.configs import resolved
from eventflow.authoring.misuse import checked, leave_mistake
from eventflow.authoring.source import place_of_class
from eventflow.errors import FlowProblem, InvalidName
from eventflow.model.namespace import DEFAULT_PROJECT, Namespace, branch_name, check_project

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["namespace_of", "project", "project_of", "project_problems"]

_ATTRIBUTE = "__eventflow_project__"
Flow = TypeVar("Flow", bound=type)


@checked("@project stands on a flow: put it above the class.")
def project(*, name: str) -> Callable[[Flow], Flow]:
    """The project of a flow: what its flows share, and what no other project sees.

    `name` has lower-case letters, digits and `_`, at most 128. Subclasses inherit it.
    """
    caller = sys._getframe(2)
    place = caller.f_code.co_filename, caller.f_lineno

    def decorate(flow_class: Flow) -> Flow:
        if _ATTRIBUTE in vars(flow_class):
            leave_mistake(flow_class, "@project stands twice: keep one.", place)
        setattr(flow_class, _ATTRIBUTE, name)
        return flow_class

    return decorate


def project_of(flow_class: type) -> str | None:
    """The name given with `@project`; None without.

    Raises:
        InvalidConfig: it is an expression of configurations that cannot be evaluated.
    """
    name: str | None = resolved(flow_class, getattr(flow_class, _ATTRIBUTE, None))
    return name


def namespace_of(
    flow_class: type, *, branch: str | None, is_production: bool, user: str, is_deploy: bool
) -> Namespace:
    """Where a flow lives: its project, and the branch that the options of its CLI add up to.

    A flow without `@project` is deployed to `default/prod`, and run by hand in
    `default/user.<name>`, unless the options say otherwise.

    Raises:
        InvalidName: project or branch have characters that they cannot have.
    """
    own_project = project_of(flow_class)
    is_production = is_production or (is_deploy and own_project is None and branch is None)
    return Namespace(
        check_project(DEFAULT_PROJECT if own_project is None else own_project),
        branch_name(branch, is_production=is_production, user=user),
    )


def project_problems(flow_class: type) -> list[FlowProblem]:
    """What is wrong with `@project`."""
    own_project = project_of(flow_class)
    try:
        check_project(DEFAULT_PROJECT if own_project is None else own_project)
    except (InvalidName, TypeError) as error:
        message = f"@project(name={own_project!r}): {error}"
        return [FlowProblem(message, *place_of_class(flow_class))]
    return []
