"""The half of a tracking store that answers questions; where the runs come from is another's matter."""

from __future__ import annotations

from typing import Any, Iterable, List, Optional

from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.tracking import SEARCH_MAX_RESULTS_DEFAULT
from mlflow.store.tracking.abstract_store import AbstractStore
from mlflow.utils.search_utils import SearchExperimentsUtils, SearchUtils

from scriptrun_mlflow import entities
from scriptrun_mlflow.views import ExperimentView, RunView
from scriptrun_mlflow.views import experiment_id as as_experiment_id


class ReadingStore(AbstractStore):  # type: ignore[misc]  # As checked, MLflow has no types.
    """Answers from `experiment_views`, `run_views` and `run_view`, which a store of a kind gives."""

    def experiment_views(self) -> List[ExperimentView]:
        """Every experiment there is."""
        raise NotImplementedError

    def run_views(self, experiment_ids: Iterable[str]) -> List[RunView]:
        """Every run of these experiments, child runs included."""
        raise NotImplementedError

    def run_view(self, run_id: str) -> RunView:
        """One run. Raises MlflowException."""
        raise NotImplementedError

    def search_experiments(
        self,
        view_type: Any = ViewType.ACTIVE_ONLY,
        max_results: int = SEARCH_MAX_RESULTS_DEFAULT,
        filter_string: Optional[str] = None,
        order_by: Any = None,
        page_token: Optional[str] = None,
    ) -> Any:
        """The experiments that fit; none is ever deleted."""
        views = [] if view_type == ViewType.DELETED_ONLY else self.experiment_views()
        found = SearchExperimentsUtils.filter([entities.experiment(view) for view in views], filter_string)
        found = SearchExperimentsUtils.sort(found, order_by or ["creation_time DESC", "experiment_id ASC"])
        return PagedList(*SearchUtils.paginate(found, page_token, max_results))

    def get_experiment(self, experiment_id: str) -> Any:
        """The experiment of that id."""
        for view in self.experiment_views():
            if experiment_id in (as_experiment_id(view.name), view.name):
                return entities.experiment(view)
        raise MlflowException(f"No experiment with id={experiment_id} exists", RESOURCE_DOES_NOT_EXIST)

    def get_experiment_by_name(self, experiment_name: str) -> Any:
        """The experiment of that name, or None."""
        found = (view for view in self.experiment_views() if view.name == experiment_name)
        return next((entities.experiment(view) for view in found), None)

    def get_run(self, run_id: str) -> Any:
        """The run of that id, with the latest value of every metric."""
        return entities.run(self.run_view(run_id))

    def get_metric_history(
        self, run_id: str, metric_key: str, max_results: Optional[int] = None, page_token: Optional[str] = None
    ) -> Any:
        """Every value of one metric."""
        found = entities.history(metric_key, self.run_view(run_id).facts.series.get(metric_key))
        if max_results is None:
            return PagedList(found, None)
        return PagedList(*SearchUtils.paginate(found, page_token, max_results))

    def _search_runs(
        self,
        experiment_ids: List[str],
        filter_string: Optional[str],
        run_view_type: Any,
        max_results: int,
        order_by: Any,
        page_token: Optional[str],
    ) -> Any:
        stages = {"active": ViewType.ACTIVE_ONLY, "deleted": ViewType.DELETED_ONLY}
        views = [
            view
            for view in self.run_views(experiment_ids)
            if run_view_type in (ViewType.ALL, stages[view.facts.lifecycle])
        ]
        found = SearchUtils.filter([entities.run(view) for view in views], filter_string)
        return SearchUtils.paginate(SearchUtils.sort(found, order_by), page_token, max_results)

    def get_logged_model(self, model_id: str, allow_deleted: bool = False) -> Any:
        """A model that MLflow 3 logged."""
        for view in self.run_views([view.name for view in self.experiment_views()]):
            for record in view.facts.models:
                if record["model_id"] == model_id and (allow_deleted or not record.get("is_deleted")):
                    return entities.logged_model(record, view)
        raise MlflowException(f"Logged model with ID '{model_id}' not found.", RESOURCE_DOES_NOT_EXIST)

    def search_logged_models(
        self,
        experiment_ids: List[str],
        filter_string: Optional[str] = None,
        datasets: Any = None,
        max_results: Optional[int] = None,
        order_by: Any = None,
        page_token: Optional[str] = None,
    ) -> Any:
        """The models of these experiments that fit."""
        from mlflow.utils.search_utils import SearchLoggedModelsUtils  # MLflow 3 only.

        models = [
            entities.logged_model(record, view)
            for view in self.run_views(experiment_ids)
            for record in view.facts.models
            if not record.get("is_deleted")
        ]
        about_data = (datasets,) if datasets else ()  # MLflow 3.0 cannot search by them.
        found = SearchLoggedModelsUtils.filter_logged_models(models, filter_string, *about_data)
        found = SearchLoggedModelsUtils.sort(found, order_by)
        return PagedList(*SearchLoggedModelsUtils.paginate(found, page_token, max_results or 100))

    def search_traces(self, *_: Any, **__: Any) -> Any:
        """There are no traces here; the pages of `mlflow ui` ask all the same."""
        return [], None

    def _search_datasets(self, experiment_ids: List[str]) -> List[Any]:
        return []

    # What else the pages of MLflow 3 ask for, each of which would be an error of the server.

    def list_scorers(self, experiment_id: str) -> List[Any]:
        """None."""
        return []

    def search_datasets(self, *_: Any, **__: Any) -> Any:
        """None."""
        return PagedList([], None)

    search_issues = list_label_schemas = list_review_queues = search_datasets


def no_run(run_id: str) -> Any:
    """The exception for a run that is not there."""
    return MlflowException(f"Run '{run_id}' not found", RESOURCE_DOES_NOT_EXIST)
