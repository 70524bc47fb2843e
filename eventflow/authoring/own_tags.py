"""What a process that starts or deploys a flow says of itself, as system tags of the runs."""

from __future__ import annotations

import platform
from importlib.metadata import version

__all__ = ["own_tags"]


def own_tags(user: str) -> tuple[str, ...]:
    """Who it is, and what it runs on."""
    return (
        f"user:{user}",
        f"eventflow_version:{version('eventflow')}",
        f"python_version:{platform.python_version()}",
    )
