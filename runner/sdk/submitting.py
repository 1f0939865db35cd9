"""Hands a configuration of v1's over to the runner, and tells what went wrong in v1's exceptions."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runner.errors import ConfigError, SnapshotError, UsageError
from runner.sdk.exceptions import AzureMLException, SnapshotException, UserErrorException
from runner.sdk.script_run_config import ScriptRunConfig

if TYPE_CHECKING:
    from runner.history.run_record import RunRecord
    from runner.sdk.experiment import Experiment
    from runner.spec.compute import ComputeTarget
    from runner.spec.request import RunRequest


def hand_over(
    experiment: Experiment, config: Any, *, tags: Mapping[str, str], run_id: str, parent_run_id: str | None
) -> RunRecord:
    """Starts a run under `run_id`; returns its record. Raises as Experiment.submit does."""
    to_sweep = getattr(config, "submit_sweep", None)
    try:
        if to_sweep is not None:
            record: RunRecord = to_sweep(experiment, tags=tags, run_id=run_id)
            return record
        return _submit(experiment, as_script_run(config), tags, run_id, parent_run_id)
    except AzureMLException:
        raise
    except SnapshotError as error:
        raise SnapshotException(str(error), error) from error
    except (ConfigError, UsageError) as error:
        if type(error) not in (ConfigError, UsageError):
            raise
        raise UserErrorException(str(error), error) from error


def as_script_run(config: Any) -> ScriptRunConfig:
    """v1's older estimators and a RunConfiguration's like give a ScriptRunConfig of their own."""
    found = config.to_script_run_config() if hasattr(config, "to_script_run_config") else config
    if not isinstance(found, ScriptRunConfig):
        raise UserErrorException(
            f"submit takes a ScriptRunConfig or a HyperDriveConfig. Found {type(config).__name__}."
        )
    return found


def _submit(
    experiment: Experiment,
    config: ScriptRunConfig,
    tags: Mapping[str, str],
    run_id: str,
    parent_run_id: str | None,
) -> RunRecord:
    from runner.sdk.compute.remote import secrets_for
    from runner.submission import submit

    workspace = experiment.workspace.layout
    request = request_for(experiment, config, run_id)
    secrets = secrets_for(str(workspace.root.absolute()), request.compute_target.name)

    def describe(record: RunRecord) -> RunRecord:
        return dataclasses.replace(record, parent_run_id=parent_run_id)

    return submit(request, workspace, environ=os.environ, tags=tags, run_id=run_id, secrets=secrets, describe=describe)


def request_for(experiment: Experiment, config: Any, run_id: str) -> RunRequest:
    """The request of a run of `config`, data put in their places. Raises as Experiment.submit does."""
    from runner.sdk.data.job_data import JobData
    from runner.sdk.handover import to_request
    from runner.spec.compute import LocalTarget

    def data_for(target: ComputeTarget) -> JobData:
        is_here = isinstance(target, LocalTarget)
        is_contained = chosen.run_config.docker.use_docker
        return JobData(experiment.workspace, run_id, target=target.name, is_here=is_here, is_contained=is_contained)

    chosen, workspace = as_script_run(config), experiment.workspace.layout
    return to_request(chosen, experiment_name=experiment.name, workspace=workspace, data=data_for)
