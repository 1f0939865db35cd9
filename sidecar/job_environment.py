"""The environment of a process of the job: what the node has, what the run adds, what the user set; the user wins."""

from __future__ import annotations

import os
import sys
from typing import Dict, Mapping, Optional

from sidecar.contract import publish, settings
from sidecar.contract.layout import NodeLayout, RunLayout
from sidecar.contract.orders import NodePlan, ProcessSpec

# The runner's own steering of its background processes is no business of a job.
_NOT_INHERITED = (
    settings.WORKSPACE,
    settings.NODE_ROOT,
    # A person's own MLflow server is that of the machine; what a job shall use is said in its config.
    settings.MLFLOW_TRACKING_URI,
    settings.MLFLOW_RUN_ID,
    settings.MLFLOW_EXPERIMENT_ID,
    settings.MLFLOW_EXPERIMENT_NAME,
    settings.MLFLOW_REGISTRY_URI,
)
_JOB_SITE = "sidecar/injob/site"
_BOOTSTRAP = "sidecar/injob/bootstrap.py"


def compose(
    base: Mapping[str, str], plan: NodePlan, spec: ProcessSpec, *, node: NodeLayout, bin_folder: Optional[str]
) -> Dict[str, str]:
    """The whole environment for `spec`. `bin_folder` goes in front of PATH, so that `python` is the job's own."""
    run = RunLayout.at(plan.run_root)
    environ = {name: value for name, value in base.items() if name not in _NOT_INHERITED}
    if bin_folder:
        environ["PATH"] = bin_folder + os.pathsep + environ.get("PATH", os.defpath)
        environ.pop("PYTHONHOME", None)
        if spec.is_user:
            environ["VIRTUAL_ENV"] = os.path.dirname(bin_folder)
    environ.update(
        {
            settings.MARK_RUN: plan.run_id,
            settings.MARK_NODE: plan.node_id,
            settings.NODE_ROOT: str(node.root),
            settings.RUN_ROOT: plan.run_root,
            settings.PROCESS_NAME: spec.name,
            settings.METRICS_FILE: str(run.process_metrics(spec.name)),
            settings.JOB_CONTEXT_FILE: str(run.job_context),
            settings.RAISED_FILE: str(node.raised(spec.name)),
            settings.AZUREML_RUN_ID: plan.run_id,
            settings.AZUREML_EXPERIMENT_NAME: plan.experiment_name,
            settings.AZUREML_PROCESS_NAME: spec.name,
            settings.AZUREML_NODE_COUNT: str(plan.node_count),
            settings.AZUREML_OUTPUT_DIRECTORY: "./outputs",
            settings.AZ_BATCH_NODE_ID: plan.node_id,
            settings.AZ_BATCH_IS_CURRENT_NODE_MASTER: "true" if plan.node_rank == 0 else "false",
        }
    )
    if not spec.is_user:
        environ[settings.SIDECAR_BUNDLE] = plan.bundle
        environ[settings.SIDECAR_PYTHON] = sys.executable
    if spec.path:
        environ["PATH"] = os.pathsep.join([*spec.path, environ.get("PATH", os.defpath)])
    if spec.number is not None:
        environ[settings.PROCESS_INDEX] = str(spec.number)
    environ["PWD"] = str(node.work)
    environ.update(spec.env)
    environ.update(plan.environment_variables)
    environ.update(_places_of_data(plan, node))
    if spec.is_user:
        environ.update(_mlflow(environ, plan))
        _let_python_find(environ, f"{plan.bundle}/{_JOB_SITE}", spec)
    return environ


def _places_of_data(plan: NodePlan, node: NodeLayout) -> Dict[str, str]:
    """Where on this node the job's data are, as job preparation found it."""
    found = publish.read_record(node.data_variables) if plan.data else None
    return {name: str(path) for name, path in (found or {}).items()}


def _mlflow(environ: Mapping[str, str], plan: NodePlan) -> Dict[str, str]:
    """What makes MLflow in the job log to its run; nothing but quiet where the user names a server to log to."""
    quiet = {settings.MLFLOW_DISABLE_TELEMETRY: "true", settings.MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT: "true"}
    variables = {} if settings.MLFLOW_TRACKING_URI in environ else _mlflow_run(plan)
    if plan.node_count > 1:  # Else the nodes' system metrics would be one series.
        variables[settings.MLFLOW_SYSTEM_METRICS_NODE_ID] = plan.node_id
    return {name: value for name, value in {**quiet, **variables}.items() if name not in environ}


def _mlflow_run(plan: NodePlan) -> Dict[str, str]:
    from urllib.parse import quote

    return {
        settings.MLFLOW_TRACKING_URI: f"scriptrun-job://{quote(plan.run_root)}",
        settings.MLFLOW_RUN_ID: plan.run_id,
    }


def _let_python_find(environ: Dict[str, str], site: str, spec: ProcessSpec) -> None:
    """Has every Python of a command find `azureml` and MLflow's plugin; for a script its bootstrap does so."""
    if any(part.endswith(_BOOTSTRAP) for part in spec.argv[:2]):
        return
    paths = [path for path in environ.get(settings.PYTHONPATH, "").split(os.pathsep) if path and path != site]
    environ[settings.PYTHONPATH] = os.pathsep.join([*paths, site])
