"""The world of commands that only read: they make no state folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventflow.errors import NotFound

if TYPE_CHECKING:
    from eventflow.context import World

__all__ = ["existing_world"]


def existing_world() -> World:
    """The world that the settings describe.

    Raises:
        NotFound: it would be a state folder that does not exist: there is nothing to read.
    """
    from eventflow import app

    world = app.connect()
    settings = world.settings
    is_local = settings.is_embedded and settings.store.url is None
    if is_local and not settings.folder.exists():
        raise NotFound(
            f"There is no state in {settings.folder} yet: nothing was deployed, published or run"
            " there. Go to the folder where that was done, or name its state with EVENTFLOW_HOME."
        )
    return world
