"""MLflow's tracking store over a workspace: answers everything, and takes what a person may change of a run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME, MLFLOW_RUN_NOTE
from scriptrun_mlflow import entities
from scriptrun_mlflow.reading_store import ReadingStore, no_run

from runner.errors import NoSuchRunError
from runner.interop.mlflow_views import WorkspaceViews

_TEXTS = {MLFLOW_RUN_NAME: "name", MLFLOW_RUN_NOTE: "description"}


class WorkspaceStore(ReadingStore):  # type: ignore[misc]  # As checked, MLflow has no types.
    """The store behind `scriptrun:` addresses."""

    def __init__(self, views: WorkspaceViews) -> None:
        super().__init__()
        self._views = views

    def experiment_views(self) -> list[Any]:
        """Every experiment that has a run."""
        return self._views.experiments()

    def run_views(self, experiment_ids: Iterable[str]) -> list[Any]:
        """Every run of these experiments."""
        return self._views.runs(experiment_ids)

    def run_view(self, run_id: str) -> Any:
        """One run. Raises MlflowException."""
        found = self._views.run(run_id)
        if found is None:
            raise no_run(run_id)
        return found

    # What a person may change

    def set_tag(self, run_id: str, tag: Any) -> None:
        """Sets a tag, the name or the description of a run."""
        self.log_batch(run_id, [], [], [tag])

    def delete_tag(self, run_id: str, key: str) -> None:
        """Removes a tag."""
        self._write(run_id, {key: None})

    def log_batch(self, run_id: str, metrics: Any, params: Any, tags: Any) -> None:
        """Sets tags. Raises MlflowException for metrics and parameters."""
        if metrics or params:
            _refuse("metrics and parameters")
        self._write(run_id, {tag.key: str(tag.value) for tag in tags})

    def update_run_info(self, run_id: str, run_status: Any, end_time: Any, run_name: str | None) -> Any:
        """Changes the name of a run; its status is what its processes make of it."""
        if run_name:
            self._write(run_id, {MLFLOW_RUN_NAME: run_name})
        return entities.run_info(self.run_view(run_id))

    def set_experiment_tag(self, experiment_id: str, tag: Any) -> None:
        """Does nothing: MLflow's pages note there how they show an experiment."""

    def _write(self, run_id: str, tags: dict[str, str | None]) -> None:
        self.run_view(run_id)
        texts = {_TEXTS[key]: text or "" for key, text in tags.items() if key in _TEXTS}
        try:
            if texts:
                self._views.set_texts(run_id, **texts)
            if len(texts) < len(tags):
                self._views.set_tags(run_id, {key: text for key, text in tags.items() if key not in _TEXTS})
        except NoSuchRunError as error:
            raise MlflowException(f"{run_id} is a child run: its job writes it", INVALID_PARAMETER_VALUE) from error

    # What only jobs write

    def log_metric(self, run_id: str, metric: Any) -> None:
        """Raises MlflowException."""
        _refuse("metrics")

    def log_param(self, run_id: str, param: Any) -> None:
        """Raises MlflowException."""
        _refuse("parameters")

    def log_inputs(self, run_id: str, datasets: Any = None, models: Any = None) -> None:
        """Raises MlflowException."""
        _refuse("inputs")

    def create_run(self, experiment_id: str, user_id: str, start_time: int, tags: Any, run_name: Any) -> Any:
        """Raises MlflowException."""
        _refuse("runs")

    def create_experiment(self, name: str, artifact_location: Any = None, tags: Any = None) -> Any:
        """Raises MlflowException."""
        _refuse("experiments")

    def delete_run(self, run_id: str) -> None:
        """Raises MlflowException."""
        _refuse("deleted runs")

    def delete_experiment(self, experiment_id: str) -> None:
        """Raises MlflowException."""
        _refuse("deleted experiments")

    def rename_experiment(self, experiment_id: str, new_name: str) -> None:
        """Raises MlflowException."""
        _refuse("renamed experiments")


def _refuse(what: str) -> NoReturn:
    raise MlflowException(
        f"a workspace takes {what} from its jobs only; start one with `runner submit` or Experiment.submit, "
        "in which MLflow logs to the job's run by itself",
        INVALID_PARAMETER_VALUE,
    )
