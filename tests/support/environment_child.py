"""A process that builds an environment, to run beside another or to be killed.

    python -m tests.support.environment_child <store folder> <cache folder> <package> <version>

It prints the folder of the environment.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

from eventflow.effects import Effects, NoFaults, planted
from eventflow.execution.environments.building import Place, build
from eventflow.execution.environments.request import request_of
from eventflow.model.policy import Packages
from eventflow.store.local import LocalStore


def main(store_folder: str, cache: str, package: str, version: str) -> None:
    store = LocalStore(Path(store_folder))
    fault = os.environ.get("EVENTFLOW_FAULT")
    effects = replace(Effects(), faults=planted(fault) if fault else NoFaults())
    place = Place(Path(cache), store.url, "shop")
    environment = build(place, request_of(Packages({package: version})), store, effects)
    print(environment.folder)  # noqa: T201 - its one way to speak


if __name__ == "__main__":
    main(*sys.argv[1:])
