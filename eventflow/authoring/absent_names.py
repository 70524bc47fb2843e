"""Names of Metaflow that are not here on purpose, each with what to do in its place.

`from eventflow import conda` raises NameMissing, which is an ImportError. Asked as an attribute
such a name is an AttributeError like any other: `hasattr` is false, and `import *` passes it by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventflow.errors import NameMissing

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["ABSENT", "missing_name"]

_MACHINES = (
    "runners execute every step. Start runners on the machines that are to do the work, and leave"
    " the decorator out; @resources says what a step asks for."
)
_DEPLOYED = (
    "`python flow.py deploy` puts a flow onto the runners, and @trigger, @trigger_on_finish and"
    " @schedule start it. To wait for something outside, have it publish an event."
)
_GANG = (
    "self.next(self.train, num_parallel=4) starts a gang, and current.parallel says who is in it:"
    " call the framework with that."
)
_CODE = "say it with @user_step_decorator, Config and config_expr, or --with."
_STORE = "what a step sets on self is kept, versioned by its run, and large values too."

ABSENT = {
    "FlowMutator": _CODE,
    "NBDeployer": "Deployer works in notebooks, on a file: write the flow into one.",
    "NBRunner": "Runner works in notebooks, on a file: write the flow into one.",
    "StepMutator": _CODE,
    "airflow_external_task_sensor": _DEPLOYED,
    "airflow_s3_key_sensor": _DEPLOYED,
    "batch": _MACHINES,
    "checkpoint": _STORE,
    "conda": "@pypi(packages={…}, python='3.12') gives a step its packages.",
    "conda_base": "@pypi_base(packages={…}, python='3.12') gives all steps their packages.",
    "huggingface_hub": "load the model in the step that uses it.",
    "inspect_spin": "there is no spin. `python flow.py resume STEP` repeats a run from a step on.",
    "kubernetes": _MACHINES,
    "pytorch_parallel": _GANG,
}
"""What to do here, by the name that is not."""


def missing_name(module: str, name: str, asked_by: FrameType) -> Exception:
    """The error for a public name that `module` has not, when the code of the frame asks for it."""
    message = f"module {module!r} has no attribute {name!r}"
    if name not in ABSENT:
        return AttributeError(message)
    # An AttributeError would become an ImportError without our text: `from … import` asks first
    # whether the name is there, in a function of the import system, and lets other errors through.
    if asked_by.f_code.co_name == "_handle_fromlist":
        return NameMissing(f"{module} has no {name!r}: {ABSENT[name]}", name=name)
    return AttributeError(f"{message}: {ABSENT[name]}")
