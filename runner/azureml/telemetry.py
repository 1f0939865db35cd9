"""Small pieces: telemetry, Workbench's logger, and what azureml.mlflow is asked for."""

from __future__ import annotations

import importlib
from typing import Any


def set_diagnostics_collection(send_diagnostics: bool = True, verbosity: Any = None, **_: Any) -> None:
    """Does nothing: nothing is collected, whatever is asked."""


def get_azureml_logger() -> Any:
    """Workbench's logger for the run that this process belongs to; outside a job it prints."""
    from runner.sdk.run_context import find_package

    find_package()
    return importlib.import_module("scriptrun_job.workbench").get_azureml_logger()


def get_mlflow_tracking_uri(workspace: Any = None, *_: Any, **__: Any) -> str:
    """What MLflow is to be told so that it logs to the workspace."""
    from runner.sdk.workspace import Workspace

    uri: str = (workspace or Workspace.from_config()).get_mlflow_tracking_uri()
    return uri


def get_portal_url(run: Any) -> str:
    """Where everything about one of MLflow's runs can be looked at: its folder."""
    from runner.sdk.workspace import Workspace

    return Workspace.from_config().get_run(run.info.run_id).get_portal_url()
