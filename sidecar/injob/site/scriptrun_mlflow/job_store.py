"""MLflow's tracking store in a job: every call is records in the file of this process (docs/metrics.md).

The four rules by which scripts for any MLflow server land on the job's run (reference mlflow-metrics-studio.md 2):
1. the runner alone decides how the job's own run is doing;
2. every experiment is the job's;
3. the first run that a process starts is the job's own, a later one is a child run;
4. nothing is sent or printed about it (environment variables; sidecar/job_environment.py sets them).
"""

from __future__ import annotations

import getpass
import os
import threading
import time
from typing import Any, Dict, Iterable, List, Optional, Tuple

from mlflow.entities import RunStatus
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, INVALID_STATE, RESOURCE_DOES_NOT_EXIST
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME, MLFLOW_RUN_NOTE, MLFLOW_USER
from mlflow.utils.validation import _validate_batch_log_data, _validate_metric, _validate_param_keys_unique
from scriptrun_job import job, names
from scriptrun_job.values import encode_text, to_json

from scriptrun_mlflow import entities
from scriptrun_mlflow.logged_models import LoggedModels
from scriptrun_mlflow.reading_store import no_run
from scriptrun_mlflow.records import Facts, Records
from scriptrun_mlflow.views import ARTIFACTS, ExperimentView, RunView, experiment_id, family

# Tags of MLflow's that docs/metrics.md keeps as details of the run.
_DETAILS = {MLFLOW_RUN_NAME: "display_name", MLFLOW_RUN_NOTE: "description"}
# What MLflow says of every run that it creates; of the job's own run the runner knows better.
_AUTOMATIC = (MLFLOW_USER, "mlflow.source.name", "mlflow.source.type", MLFLOW_RUN_NAME, MLFLOW_PARENT_RUN_ID)

_Record = Tuple[str, Dict[str, Any]]


class JobStore(LoggedModels):
    """The store of the job that this process belongs to. Raises MlflowException outside a job."""

    def __init__(self) -> None:
        super().__init__()
        current = job.current()
        root = os.environ.get(names.RUN_ROOT)
        if current is None or not root:
            raise MlflowException(
                "scriptrun-job: addresses are those of jobs, and this process belongs to none; "
                "use mlflow.set_tracking_uri(Workspace().get_mlflow_tracking_uri())",
                INVALID_STATE,
            )
        run_id, about = current.run_id, current.about
        self._journal = current.journal
        self._records = Records(os.path.dirname(current.journal.path), run_id)
        self._lock = threading.Lock()
        self._has_adopted = False
        self._known_params: Dict[str, Dict[str, str]] = {}
        self._rest: Dict[str, str] = {run_id: ""}  # JSON text that a record of each run ends in.
        self._job = RunView(
            run_id=run_id,
            experiment_name=current.experiment_name,
            user=_user(),
            status="Running",
            start_ms=_start_ms(run_id),
            end_ms=None,
            name=about.get("display_name") or run_id,
            description=about.get("description"),
            parent_run_id=about.get("parent_run_id"),
            artifacts=f"{root}/{ARTIFACTS}",
            tags=dict(about.get("tags") or {}),
            facts=Facts(),
        )

    # What there is: the run of the job and its child runs, as far as this node knows them.

    def experiment_views(self) -> List[ExperimentView]:
        """The job's experiment."""
        job = self._job
        return [ExperimentView(job.experiment_name, job.artifacts, job.start_ms, job.start_ms)]

    def run_views(self, experiment_ids: Iterable[str]) -> List[RunView]:
        """The run of the job and its child runs, whatever the experiment is called."""
        with self._lock:
            return family(self._job, self._records.refresh())

    def run_view(self, run_id: str) -> RunView:
        """One of them. Raises MlflowException."""
        for view in self.run_views(()):
            if view.run_id == run_id:
                return view
        raise no_run(run_id)

    def get_experiment(self, experiment_id: str) -> Any:
        """The job's experiment, whichever is asked for (rule 2)."""
        return entities.experiment(self.experiment_views()[0])

    def get_experiment_by_name(self, experiment_name: str) -> Any:
        """The job's experiment, whatever it is called (rule 2)."""
        return self.get_experiment(experiment_name)

    def create_experiment(self, name: str, artifact_location: Any = None, tags: Any = None) -> str:
        """The id of the job's experiment (rule 2)."""
        return experiment_id(self._job.experiment_name)

    def set_experiment_tag(self, experiment_id: str, tag: Any) -> None:
        """Keeps the tag with the run's records."""
        self._journal.append("mlflow.experiment_tag", {"name": tag.key, "value": str(tag.value)})

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        """Keeps that the tag went."""
        self._journal.append("mlflow.experiment_tag", {"name": key, "value": None})

    # Runs

    def create_run(self, experiment_id: str, user_id: str, start_time: int, tags: Any, run_name: Any) -> Any:
        """The job's own run the first time, then child runs (rule 3)."""
        texts = {tag.key: str(tag.value) for tag in tags or ()}
        name = run_name or texts.get(MLFLOW_RUN_NAME)
        parent = texts.get(MLFLOW_PARENT_RUN_ID)
        with self._lock:
            is_adopting, self._has_adopted = not self._has_adopted and parent is None, True
        texts = {key: value for key, value in texts.items() if key not in _AUTOMATIC}
        if is_adopting:
            run_id, records = self._job.run_id, self._tag_records(self._job.run_id, {**texts, **_named(name)})
        else:
            run_id = "{}_{}_{}".format(self._job.experiment_name, int(time.time()), os.urandom(4).hex())
            self._rest[run_id] = ',"r":{}'.format(encode_text(run_id))
            fields = {"r": run_id, "parent": parent or self._job.run_id, "value": name, "origin": "mlflow"}
            records = [("child", fields), *self._tag_records(run_id, texts)]
        self._journal.append_all(records)
        return self.get_run(run_id)

    def update_run_info(self, run_id: str, run_status: Any, end_time: Any, run_name: Any) -> Any:
        """Says how a child run is doing; of the job's own run only the name is taken (rule 1)."""
        records: List[_Record] = self._tag_records(run_id, _named(run_name))
        if run_id == self._job.run_id:
            if run_status == RunStatus.RUNNING:  # `start_run` attached to it, so the next run is a child.
                self._has_adopted = True
        elif run_status is not None:
            records.append(("status", self._of(run_id, status=entities.WORDS[run_status], error=None)))
        if records:
            self._journal.append_all(records)
        return entities.run_info(self.run_view(run_id))

    def delete_run(self, run_id: str) -> None:
        """Marks a run as deleted for MLflow; nothing is removed."""
        self._journal.append("mlflow.lifecycle", self._of(run_id, value="deleted"))

    def restore_run(self, run_id: str) -> None:
        """Takes the mark away."""
        self._journal.append("mlflow.lifecycle", self._of(run_id, value="active"))

    # What a script logs

    def log_metric(self, run_id: str, metric: Any) -> None:
        """One value; on return it is on disk."""
        _validate_metric(metric.key, metric.value, metric.timestamp, metric.step)
        more = ',"at":{}{}{}'.format(int(metric.timestamp), self._rest_of(run_id), _of_model(metric))
        self._journal.scalar(metric.key, metric.value, metric.step, more)

    def log_param(self, run_id: str, param: Any) -> None:
        """One parameter. Raises MlflowException where it has another value already."""
        self.log_batch(run_id, [], [param], [])

    def set_tag(self, run_id: str, tag: Any) -> None:
        """One tag."""
        self.log_batch(run_id, [], [], [tag])

    def delete_tag(self, run_id: str, key: str) -> None:
        """Removes a tag. Raises MlflowException where there is none."""
        if key not in entities.run(self.run_view(run_id)).data.tags:
            raise MlflowException(f"No tag with name: {key} in run with id {run_id}", RESOURCE_DOES_NOT_EXIST)
        if key in _DETAILS:
            self._journal.append("detail", self._of(run_id, name=_DETAILS[key], value=None))
        else:
            self._journal.append("tag_removed", self._of(run_id, name=key))

    def log_batch(self, run_id: str, metrics: Any, params: Any, tags: Any) -> None:
        """Some of each in one system call, however many. Raises MlflowException before anything is written."""
        checked = _validate_batch_log_data(metrics, params, tags)  # Older ones change nothing and give nothing.
        metrics, params, tags = checked or (metrics, params, tags)
        _validate_param_keys_unique(params)
        rest = self._rest_of(run_id)
        texts = [("scalar", _scalar_text(metric, rest)) for metric in metrics]
        for param in self._new_params(run_id, params):
            texts.append(("param", '"name":{},"value":{}{}'.format(*map(encode_text, param), rest)))
        for tag in tags:
            kind, key = ("detail", _DETAILS[tag.key]) if tag.key in _DETAILS else ("tag", tag.key)
            texts.append((kind, '"name":{},"value":{}{}'.format(encode_text(key), encode_text(str(tag.value)), rest)))
        if texts:
            self._journal.append_texts(texts)

    def log_batch_async(self, run_id: str, metrics: Any, params: Any, tags: Any) -> Any:
        """At once: that is quicker than a queue, and nothing is left in one when the job is killed."""
        from mlflow.utils.async_logging.run_operations import RunOperations

        self.log_batch(run_id, metrics, params, tags)
        return RunOperations([])

    def log_inputs(self, run_id: str, datasets: Any = None, models: Any = None) -> None:
        """Data sets, and models that came in."""
        value = {
            "datasets": [entities.dataset_record(entry) for entry in datasets or ()],
            "models": [model.model_id for model in models or ()],
        }
        self._journal.append("mlflow.input", self._of(run_id, value=value))

    def log_outputs(self, run_id: str, models: Any) -> None:
        """Models that the run made."""
        value = {"models": [{"model_id": model.model_id, "step": model.step} for model in models or ()]}
        self._journal.append("mlflow.output", self._of(run_id, value=value))

    def record_logged_model(self, run_id: str, mlflow_model: Any) -> None:
        """Notes a model in a tag, as MLflow 2 does."""
        import json

        tag = "mlflow.log-model.history"
        known = json.loads(self.run_view(run_id).tags.get(tag, "[]"))
        text = json.dumps([*known, _model_entry(mlflow_model)])
        self._journal.append("tag", self._of(run_id, name=tag, value=text))

    def append(self, kind: str, run_id: str, value: Any) -> None:
        """A record that only this package reads, about `run_id`."""
        self._journal.append(kind, self._of(run_id, value=value))

    # Records

    def _rest_of(self, run_id: str) -> str:
        """JSON text that names a child run; nothing for the job's own. Raises MlflowException for a strange run."""
        rest = self._rest.get(run_id)
        if rest is None:
            self.run_view(run_id)
            rest = self._rest[run_id] = ',"r":{}'.format(encode_text(run_id))
        return rest

    def _of(self, run_id: str, **fields: Any) -> Dict[str, Any]:
        return {**fields, "r": run_id} if self._rest_of(run_id) else fields

    def _tag_records(self, run_id: str, tags: Dict[str, str]) -> List[_Record]:
        return [
            ("detail" if key in _DETAILS else "tag", self._of(run_id, name=_DETAILS.get(key, key), value=value))
            for key, value in tags.items()
        ]

    def _new_params(self, run_id: str, params: Any) -> List[Tuple[str, str]]:
        """Those that are not known. Raises MlflowException where one is known with another value."""
        if not params:
            return []
        known = self._known_params.get(run_id)
        if known is None:
            known = self._known_params[run_id] = self.run_view(run_id).facts.params
        new = [(param.key, str(param.value)) for param in params if known.get(param.key) != str(param.value)]
        for key, value in new:
            if key in known:
                raise MlflowException(
                    f"Changing param values is not allowed. Param with key='{key}' was already logged with "
                    f"value='{known[key]}' for run ID='{run_id}'. Attempted logging new value '{value}'.",
                    INVALID_PARAMETER_VALUE,
                )
        known.update(new)
        return new


def _scalar_text(metric: Any, rest: str) -> str:
    value, is_marked = to_json(metric.value)
    mark = ',"f":1' if is_marked else ""
    return '"name":{},"value":{},"step":{},"at":{}{}{}{}'.format(
        encode_text(metric.key), value, int(metric.step or 0), int(metric.timestamp), mark, rest, _of_model(metric)
    )


def _of_model(metric: Any) -> str:
    """JSON text that says which model, and which data, a metric of MLflow 3 is about."""
    model = getattr(metric, "model_id", None)
    if model is None:
        return ""
    about = [model, metric.dataset_name, metric.dataset_digest]
    return ',"mlflow":[{}]'.format(",".join("null" if text is None else encode_text(text) for text in about))


def _model_entry(model: Any) -> Any:
    to_dict = getattr(model, "get_tags_dict", None) or model.to_dict
    return to_dict()


def _named(name: Optional[str]) -> Dict[str, str]:
    return {MLFLOW_RUN_NAME: name} if name else {}


def _start_ms(run_id: str) -> int:
    """Run ids tell the second in which the run was made."""
    seconds = run_id.split("_")[-2:-1]
    return int(seconds[0]) * 1000 if seconds and seconds[0].isdigit() else int(time.time() * 1000)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # A container's user without a name.
        return "unknown"
