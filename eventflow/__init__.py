"""eventflow: flows that start each other by events, traced down to the offset.

The public names, each imported when it is first used, so that `import eventflow` costs nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eventflow import cards
    from eventflow.authoring.config import Config
    from eventflow.authoring.config_expr import config_expr
    from eventflow.authoring.current import current
    from eventflow.authoring.event import Event
    from eventflow.authoring.exit_hook import exit_hook
    from eventflow.authoring.file_parsers import (
        conda_environment_yml_parser,
        pyproject_toml_parser,
        requirements_txt_parser,
        yaml_parser,
    )
    from eventflow.authoring.flow_spec import FlowSpec
    from eventflow.authoring.include_file import IncludeFile
    from eventflow.authoring.parallel_calls import parallel_imap_unordered, parallel_map
    from eventflow.authoring.parameter import JSONType, Parameter
    from eventflow.authoring.profiling import profile
    from eventflow.authoring.project import project
    from eventflow.authoring.pypi import pypi, pypi_base
    from eventflow.authoring.step import step
    from eventflow.authoring.step_decorators import (
        card,
        catch,
        environment,
        parallel,
        resources,
        retry,
        secrets,
        timeout,
    )
    from eventflow.authoring.trigger_declarations import (
        namespaced_event_name,
        schedule,
        trigger,
        trigger_on_finish,
    )
    from eventflow.authoring.user_decorators import (
        USER_SKIP_STEP,
        UserStepDecorator,
        user_step_decorator,
    )
    from eventflow.client.artifacts import DataArtifact
    from eventflow.client.flow import Flow
    from eventflow.client.metaflow import Metaflow, default_metadata, get_metadata, metadata
    from eventflow.client.run import Run
    from eventflow.client.scope import default_namespace, get_namespace, namespace
    from eventflow.client.step import Step
    from eventflow.client.task import Task
    from eventflow.datatools.objects import S3GetObject, S3PutObject
    from eventflow.datatools.s3 import S3
    from eventflow.model.config_value import ConfigValue
    from eventflow.programmatic.deployed import DeployedFlow
    from eventflow.programmatic.deployer import Deployer
    from eventflow.programmatic.runner import Runner

__all__ = [
    "S3",
    "USER_SKIP_STEP",
    "Config",
    "ConfigValue",
    "DataArtifact",
    "DeployedFlow",
    "Deployer",
    "Event",
    "Flow",
    "FlowSpec",
    "IncludeFile",
    "JSONType",
    "Metaflow",
    "Parameter",
    "Run",
    "Runner",
    "S3GetObject",
    "S3PutObject",
    "Step",
    "Task",
    "UserStepDecorator",
    "card",
    "cards",
    "catch",
    "conda_environment_yml_parser",
    "config_expr",
    "current",
    "default_metadata",
    "default_namespace",
    "environment",
    "exit_hook",
    "get_metadata",
    "get_namespace",
    "metadata",
    "namespace",
    "namespaced_event_name",
    "parallel",
    "parallel_imap_unordered",
    "parallel_map",
    "profile",
    "project",
    "pypi",
    "pypi_base",
    "pyproject_toml_parser",
    "requirements_txt_parser",
    "resources",
    "retry",
    "schedule",
    "secrets",
    "step",
    "timeout",
    "trigger",
    "trigger_on_finish",
    "user_step_decorator",
    "yaml_parser",
]

_HOMES = {
    "USER_SKIP_STEP": "authoring.user_decorators",
    "Config": "authoring.config",
    "ConfigValue": "model.config_value",
    "DataArtifact": "client.artifacts",
    "DeployedFlow": "programmatic.deployed",
    "Deployer": "programmatic.deployer",
    "Event": "authoring.event",
    "Flow": "client.flow",
    "FlowSpec": "authoring.flow_spec",
    "IncludeFile": "authoring.include_file",
    "JSONType": "authoring.parameter",
    "Metaflow": "client.metaflow",
    "Parameter": "authoring.parameter",
    "Run": "client.run",
    "Runner": "programmatic.runner",
    "S3": "datatools.s3",
    "S3GetObject": "datatools.objects",
    "S3PutObject": "datatools.objects",
    "Step": "client.step",
    "Task": "client.task",
    "UserStepDecorator": "authoring.user_decorators",
    "card": "authoring.step_decorators",
    "catch": "authoring.step_decorators",
    "conda_environment_yml_parser": "authoring.file_parsers",
    "config_expr": "authoring.config_expr",
    "current": "authoring.current",
    "default_metadata": "client.metaflow",
    "default_namespace": "client.scope",
    "environment": "authoring.step_decorators",
    "exit_hook": "authoring.exit_hook",
    "get_metadata": "client.metaflow",
    "get_namespace": "client.scope",
    "metadata": "client.metaflow",
    "namespace": "client.scope",
    "namespaced_event_name": "authoring.trigger_declarations",
    "parallel": "authoring.step_decorators",
    "parallel_imap_unordered": "authoring.parallel_calls",
    "parallel_map": "authoring.parallel_calls",
    "profile": "authoring.profiling",
    "project": "authoring.project",
    "pypi": "authoring.pypi",
    "pypi_base": "authoring.pypi",
    "pyproject_toml_parser": "authoring.file_parsers",
    "requirements_txt_parser": "authoring.file_parsers",
    "resources": "authoring.step_decorators",
    "retry": "authoring.step_decorators",
    "schedule": "authoring.trigger_declarations",
    "secrets": "authoring.step_decorators",
    "step": "authoring.step",
    "timeout": "authoring.step_decorators",
    "trigger": "authoring.trigger_declarations",
    "trigger_on_finish": "authoring.trigger_declarations",
    "user_step_decorator": "authoring.user_decorators",
    "yaml_parser": "authoring.file_parsers",
}

_MODULES = ("cards",)


def __getattr__(name: str) -> Any:
    """The public name, from its home (PEP 562)."""
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        asked_by = sys._getframe(1)
        if asked_by.f_code.co_name == "_handle_fromlist" and _is_own(asked_by.f_back):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        # Not at the top: `import eventflow` costs nothing.
        absent = import_module(f"{__name__}.authoring.absent_names")
        raise absent.missing_name(__name__, name, asked_by)
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def _is_own(frame: Any) -> bool:
    """Whether the code of a frame is eventflow's, which imports modules of the package so."""
    return frame is not None and frame.f_globals.get("__name__", "").startswith(f"{__name__}.")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
