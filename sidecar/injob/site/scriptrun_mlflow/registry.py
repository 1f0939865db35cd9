"""MLflow's model registry in a job: a registered model is asked for by a record; the workspace takes it over.

Numbers of versions count what this process registered: the workspace's own are known only there.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any, Dict, List, Optional

from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, RESOURCE_DOES_NOT_EXIST
from mlflow.store.entities.paged_list import PagedList
from mlflow.store.model_registry.abstract_store import AbstractStore
from scriptrun_job import journal, names

from scriptrun_mlflow.views import ARTIFACTS

_BY_ID = "models:/"


class EmptyRegistry(AbstractStore):  # type: ignore[misc]  # As checked, MLflow has no types.
    """A registry without models: the pages of `mlflow ui` ask for one."""

    def __init__(self) -> None:
        # MLflow 3's own has these and takes arguments, older ones take none.
        self._link_to_trace_lock = threading.RLock()
        self._link_to_model_lock = threading.RLock()
        self._link_to_run_lock = threading.RLock()

    def search_registered_models(self, *_: Any, **__: Any) -> Any:
        """None."""
        return PagedList([], None)

    def search_model_versions(self, *_: Any, **__: Any) -> Any:
        """None."""
        return PagedList([], None)

    def get_latest_versions(self, name: str, stages: Any = None) -> List[Any]:
        """None."""
        return []

    def get_registered_model(self, name: str) -> Any:
        """Raises MlflowException."""
        raise MlflowException(f"Registered Model with name={name} not found", RESOURCE_DOES_NOT_EXIST)


class JobRegistry(EmptyRegistry):
    """The registry of a job: takes models in."""

    def __init__(self) -> None:
        super().__init__()
        self._models: Dict[str, Any] = {}
        self._versions: Dict[str, List[Any]] = {}

    def create_registered_model(self, name: str, tags: Any = None, description: Any = None, *_: Any, **__: Any) -> Any:
        """A model's name. Raises MlflowException where this process has it already."""
        if name in self._models:
            raise MlflowException(f"Registered Model (name={name}) already exists.", RESOURCE_ALREADY_EXISTS)
        now_ms = int(time.time() * 1000)
        model = RegisteredModel(name, now_ms, now_ms, description, tags=list(tags or ()))
        self._models[name], self._versions[name] = model, []
        return model

    def create_model_version(
        self,
        name: str,
        source: str,
        run_id: Optional[str] = None,
        tags: Any = None,
        run_link: Any = None,
        description: Any = None,
        local_model_path: Any = None,
        model_id: Any = None,
        **_: Any,
    ) -> Any:
        """Asks for `source`, a folder of the run, to be registered."""
        written = journal.of_job()
        if written is not None:
            value = {
                "path": _path(source),
                "tags": {tag.key: tag.value for tag in tags or ()},
                "properties": {},
                "description": description,
                "framework": "mlflow",
                "framework_version": None,
            }
            written.append("model", {"name": name, "value": value, **_of_child(run_id)})
        now_ms = int(time.time() * 1000)
        versions = self._versions.setdefault(name, [])
        version = ModelVersion(
            name,
            str(len(versions) + 1),
            now_ms,
            now_ms,
            description,
            source=source,
            run_id=run_id,
            tags=list(tags or ()),
        )
        versions.append(version)
        return version

    def get_registered_model(self, name: str) -> Any:
        """A model that this process registered."""
        return self._models[name] if name in self._models else super().get_registered_model(name)

    def get_model_version(self, name: str, version: Any) -> Any:
        """A version that this process registered."""
        for known in self._versions.get(name, ()):
            if str(known.version) == str(version):
                return known
        raise MlflowException(f"Model Version (name={name}, version={version}) not found", RESOURCE_DOES_NOT_EXIST)

    def get_latest_versions(self, name: str, stages: Any = None) -> List[Any]:
        """The last version that this process registered."""
        return self._versions.get(name, [])[-1:]

    def get_model_version_download_uri(self, name: str, version: Any) -> str:
        """Where its files are."""
        return str(self.get_model_version(name, version).source)


def _path(source: str) -> str:
    """The name under which the run knows what lies at `source`."""
    if source.startswith(_BY_ID):
        return f"models/{source[len(_BY_ID) :].strip('/')}"
    place = source[len("file://") :] if source.startswith("file://") else source
    return os.path.relpath(place, os.path.join(os.environ.get(names.RUN_ROOT, ""), ARTIFACTS))


def _of_child(run_id: Optional[str]) -> Dict[str, str]:
    return {"r": run_id} if run_id and run_id != os.environ.get(names.AZUREML_RUN_ID) else {}
