"""Namespaces: `project/branch`, the key of every record and the wall between variants.

Branches follow Metaflow: by hand `user.<name>`, with `--branch b` `test.b`, with `--production`
`prod`, with both `prod.b`. The branch `*` stands for every branch of a project: where an event
goes that was published from outside without naming one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from eventflow.errors import InvalidName

__all__ = ["DEFAULT_PROJECT", "EVERY_BRANCH", "Namespace", "branch_name", "check_project"]

DEFAULT_PROJECT = "default"
EVERY_BRANCH = "*"

_PROJECT = re.compile(r"[a-z0-9_]{1,128}")
_BRANCH = re.compile(r"(prod|(prod|test|user)\.[A-Za-z0-9_][A-Za-z0-9_.\-]{0,127})")
_BRANCH_OPTION = re.compile(r"[a-z0-9_]{1,128}")


@dataclass(frozen=True, slots=True, order=True)
class Namespace:
    """One branch of one project; `str()` is its path `project/branch`."""

    project: str
    branch: str

    def __str__(self) -> str:
        return f"{self.project}/{self.branch}"

    @property
    def is_project_wide(self) -> bool:
        """Whether it stands for every branch of its project."""
        return self.branch == EVERY_BRANCH

    @property
    def is_production(self) -> bool:
        """Whether it is `prod` or `prod.<b>`."""
        return self.branch == "prod" or self.branch.startswith("prod.")

    @property
    def is_user_branch(self) -> bool:
        """Whether it is somebody's own branch `user.<name>`."""
        return self.branch.startswith("user.")

    @property
    def project_wide(self) -> Namespace:
        """`project/*` of the same project."""
        return Namespace(self.project, EVERY_BRANCH)

    @classmethod
    def parse(cls, path: str) -> Namespace:
        """`project/branch`, or `project/*`.

        Raises:
            InvalidName: the path has another shape; the message says which.
        """
        project, slash, branch = path.partition("/")
        if not slash:
            raise InvalidName(
                f"{path!r} is no namespace: it is written project/branch, for instance"
                f" {path or 'default'}/prod."
            )
        check_project(project)
        if branch != EVERY_BRANCH and not _BRANCH.fullmatch(branch):
            raise InvalidName(
                f"{branch!r} is no branch: it is prod, prod.<name>, test.<name> or user.<name>,"
                " with letters, digits, '_', '-' and '.' in the name."
            )
        return cls(project, branch)


def check_project(project: str) -> str:
    """`project` itself, when it is a name that a project can have.

    Raises:
        InvalidName: it is not.
    """
    if not (isinstance(project, str) and _PROJECT.fullmatch(project)):  # type: ignore[redundant-expr]
        raise InvalidName(
            f"{project!r} is no project name: use lower-case letters, digits and '_',"
            " at most 128 of them."
        )
    return project


def branch_name(branch: str | None, *, is_production: bool, user: str) -> str:
    """The branch that `--branch`, `--production` and the user's name add up to.

    Raises:
        InvalidName: `branch` has characters that a branch cannot have.
    """
    if branch is not None and not _BRANCH_OPTION.fullmatch(branch):
        raise InvalidName(
            f"--branch {branch!r}: use lower-case letters, digits and '_', at most 128 of them."
        )
    if is_production:
        return f"prod.{branch}" if branch else "prod"
    return f"test.{branch}" if branch else f"user.{_as_name(user)}"


def _as_name(user: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.\-]", "_", user)[:128].lstrip(".-") or "unknown"
