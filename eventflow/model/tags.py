"""Tags: words that people hang on a run, to find it by; they mean nothing to eventflow.

A run has user tags, which change, and system tags, which say where it comes from and never do:
`user:`, `eventflow_version:`, `python_version:` of who started or deployed it, `project:` and
`project_branch:` of its namespace.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from eventflow.errors import InvalidTag
from eventflow.model.namespace import Namespace

__all__ = [
    "LONGEST_TAG",
    "MOST_TAGS",
    "Tags",
    "check_tags",
    "each_tag",
    "is_like_a_system_tag",
    "namespace_tags",
]

MOST_TAGS = 50
LONGEST_TAG = 500
_DELETE = "\x7f"
_SYSTEM = ("user:", "eventflow_version:", "python_version:", "project:", "project_branch:")


@dataclass(frozen=True, slots=True)
class Tags:
    """The tags of a run. `generation` counts the changes of its user tags, from 0 at its start."""

    user: frozenset[str]
    system: frozenset[str]
    generation: int = 0

    @property
    def every(self) -> frozenset[str]:
        """Both kinds."""
        return self.user | self.system

    def changed(self, *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> Tags:
        """The next generation, `remove` taken away first; itself when nothing is different.

        What is a system tag already is not added; what is not there is not missed.

        Raises:
            InvalidTag: one cannot be a tag, is a system tag to be removed, or there would be too
                many.
        """
        taken = frozenset(each_tag(remove))
        fixed = sorted(taken & self.system)
        if fixed:
            raise InvalidTag(f"{fixed[0]!r} is a system tag: it says how the run came about.")
        user = (self.user - taken) | (frozenset(each_tag(add)) - self.system)
        if user == self.user:
            return self
        check_tags(user)
        return Tags(user, self.system, self.generation + 1)


def check_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """The tags themselves, each once, in the order given.

    Raises:
        InvalidTag: there are more than 50, or `each_tag` refuses one.
    """
    unique = each_tag(tags)
    if len(unique) > MOST_TAGS:
        raise InvalidTag(
            f"{len(unique)} tags are more than the {MOST_TAGS} that a run can have: remove some."
        )
    return unique


def each_tag(tags: Iterable[str]) -> tuple[str, ...]:
    """The tags themselves, each once, in the order given; any number of them.

    Raises:
        InvalidTag: one is no text, empty, has control characters, or more than 500 characters.
    """
    if isinstance(tags, str):
        raise InvalidTag(f"{tags!r} is one tag where several are asked for: write [{tags!r}].")
    if not isinstance(tags, Iterable):
        raise InvalidTag(f"{tags!r} is no list of tags.")
    return tuple(dict.fromkeys(_checked(tag) for tag in tags))


def is_like_a_system_tag(tag: str) -> bool:
    """Whether a run can have it as a system tag; a user tag may look like one too."""
    return tag.startswith(_SYSTEM)


def namespace_tags(namespace: str) -> tuple[str, ...]:
    """The system tags that a namespace gives to the runs in it."""
    parsed = Namespace.parse(namespace)
    return f"project:{parsed.project}", f"project_branch:{parsed.branch}"


def _checked(tag: object) -> str:
    if not isinstance(tag, str):
        raise InvalidTag(f"{tag!r} is no tag: a tag is text.")
    if not tag.strip():
        raise InvalidTag("A tag cannot be empty.")
    if len(tag) > LONGEST_TAG:
        raise InvalidTag(
            f"A tag has {len(tag)} characters, {LONGEST_TAG} are allowed: {tag[:40]!r}…."
        )
    if any(each < " " or each == _DELETE for each in tag):
        raise InvalidTag(f"{tag!r} is no tag: it has control characters.")
    try:
        tag.encode()
    except UnicodeEncodeError as error:
        raise InvalidTag(f"{tag!r} is no tag: it is no Unicode.") from error
    return tag
