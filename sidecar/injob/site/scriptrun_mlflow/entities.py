"""Puts runs, experiments and models into MLflow's own words, whichever version it is."""

from __future__ import annotations

import inspect
import json
from typing import Any, Dict, List, Optional

from mlflow import entities
from mlflow.entities import (
    Dataset,
    DatasetInput,
    Experiment,
    InputTag,
    LifecycleStage,
    Metric,
    Param,
    Run,
    RunData,
    RunInfo,
    RunStatus,
    RunTag,
)
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME, MLFLOW_RUN_NOTE, MLFLOW_USER

from scriptrun_mlflow.records import Facts, Series
from scriptrun_mlflow.views import ExperimentView, RunView, experiment_id

_NEEDS_UUID = "run_uuid" in inspect.signature(RunInfo.__init__).parameters  # Before MLflow 3.
_HAS_INPUTS = "run_inputs" in inspect.signature(Run.__init__).parameters
_HAS_OUTPUTS = "run_outputs" in inspect.signature(Run.__init__).parameters
_STATUSES = {
    "Completed": RunStatus.FINISHED,
    "Failed": RunStatus.FAILED,
    "Canceled": RunStatus.KILLED,
    "NotStarted": RunStatus.SCHEDULED,
    "Queued": RunStatus.SCHEDULED,
}
WORDS = {
    RunStatus.FINISHED: "Completed",
    RunStatus.FAILED: "Failed",
    RunStatus.KILLED: "Canceled",
    RunStatus.RUNNING: "Running",
    RunStatus.SCHEDULED: "Running",
}


def status_of(word: str) -> Any:
    """MLflow's number for a status; a run that is on its way to or from running is RUNNING."""
    return _STATUSES.get(word, RunStatus.RUNNING)


def run_info(view: RunView) -> Any:
    """The head of a run."""
    more = {"run_uuid": view.run_id} if _NEEDS_UUID else {}
    return RunInfo(
        run_id=view.run_id,
        experiment_id=view.experiment_id,
        user_id=view.user,
        status=RunStatus.to_string(status_of(view.status)),
        start_time=view.start_ms,
        end_time=view.end_ms,
        lifecycle_stage=view.facts.lifecycle,
        artifact_uri=view.artifacts,
        run_name=view.name,
        **more,
    )


def run(view: RunView) -> Any:
    """The whole run, of every metric the latest value."""
    tags = {**view.tags, MLFLOW_RUN_NAME: view.name, MLFLOW_USER: view.user}
    if view.description:
        tags[MLFLOW_RUN_NOTE] = view.description
    if view.parent_run_id:
        tags[MLFLOW_PARENT_RUN_ID] = view.parent_run_id
    data = RunData(
        metrics=[metric(name, series) for name, series in view.facts.series.items()],
        params=[Param(name, value) for name, value in view.facts.params.items()],
        tags=[RunTag(name, value) for name, value in tags.items()],
    )
    more: Dict[str, Any] = {}
    if _HAS_INPUTS:
        more["run_inputs"] = _inputs(view.facts)
    if _HAS_OUTPUTS:
        outputs = [model for record in view.facts.outputs for model in record.get("models", ())]
        more["run_outputs"] = entities.RunOutputs([entities.LoggedModelOutput(**model) for model in outputs])
    return Run(run_info(view), data, **more)


def metric(name: str, series: Series) -> Any:
    """The latest value of a metric."""
    point = series.latest()
    return Metric(name, point.value, point.at_ms, point.step)


def history(name: str, series: Optional[Series]) -> List[Any]:
    """Every value of a metric, in order of time."""
    points = series.points() if series is not None else []
    return [Metric(name, point.value, point.at_ms, point.step) for point in points]


def experiment(view: ExperimentView) -> Any:
    """An experiment."""
    return Experiment(
        experiment_id=experiment_id(view.name),
        name=view.name,
        artifact_location=view.artifacts,
        lifecycle_stage=LifecycleStage.ACTIVE,
        tags=[],
        creation_time=view.created_ms,
        last_update_time=view.changed_ms,
    )


def logged_model(record: Dict[str, Any], view: RunView) -> Any:
    """A model that MLflow 3 logged in the run of `view`."""
    series = [
        (name, json.loads(rest), found)
        for (model_id, name, rest), found in view.facts.model_series.items()
        if model_id == record["model_id"]
    ]
    return entities.LoggedModel(
        experiment_id=view.experiment_id,
        model_id=record["model_id"],
        name=record["name"],
        artifact_location="{}/{}".format(view.artifacts, record["path"]),
        creation_timestamp=record["created_ms"],
        last_updated_timestamp=record["changed_ms"],
        model_type=record.get("type"),
        source_run_id=view.run_id,
        status=entities.LoggedModelStatus(record["status"]),
        tags=dict(record["tags"]),
        params=dict(record["params"]),
        metrics=[_model_metric(name, rest, found, view, record["model_id"]) for name, rest, found in series],
    )


def _model_metric(name: str, dataset: List[Any], series: Series, view: RunView, model_id: str) -> Any:
    point = series.latest()
    return Metric(
        name,
        point.value,
        point.at_ms,
        point.step,
        model_id=model_id,
        dataset_name=dataset[0],
        dataset_digest=dataset[1],
        run_id=view.run_id,
    )


def dataset_record(entry: Any) -> Dict[str, Any]:
    """A data set that came in, and what it was for, as `_inputs` reads it."""
    return {"dataset": dict(entry.dataset), "tags": {tag.key: tag.value for tag in entry.tags or ()}}


def _inputs(facts: Facts) -> Any:
    datasets = [
        DatasetInput(
            Dataset(**{key: value for key, value in entry["dataset"].items() if value is not None}),
            [InputTag(key, value) for key, value in entry["tags"].items()],
        )
        for record in facts.inputs
        for entry in record.get("datasets", ())
    ]
    models = [model for record in facts.inputs for model in record.get("models", ())]
    if _HAS_OUTPUTS:
        return entities.RunInputs(datasets, [entities.LoggedModelInput(model) for model in models])
    return entities.RunInputs(datasets)
