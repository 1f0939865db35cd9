"""The models that MLflow 3 logs apart from runs; here they lie among the files of the run that made them."""

from __future__ import annotations

import time
import uuid
from typing import Any, Dict, List, Optional

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST

from scriptrun_mlflow import entities
from scriptrun_mlflow.reading_store import ReadingStore

_FOLDER = "models"
_WITHOUT_NAME = "model"


class LoggedModels(ReadingStore):
    """The calls about them. A model's record is written whole at every change; the last one counts."""

    def append(self, kind: str, run_id: str, value: Any) -> None:
        """Writes a record about `run_id`."""
        raise NotImplementedError

    def create_logged_model(
        self,
        experiment_id: str,
        name: Optional[str] = None,
        source_run_id: Optional[str] = None,
        tags: Any = None,
        params: Any = None,
        model_type: Optional[str] = None,
    ) -> Any:
        """A model whose files are still to come; without a run it is one of the job's."""
        run_id = source_run_id or self.run_views(())[0].run_id
        model_id = f"m-{uuid.uuid4().hex}"
        now_ms = int(time.time() * 1000)
        record = {
            "model_id": model_id,
            "name": name or _WITHOUT_NAME,
            "status": "PENDING",
            "type": model_type,
            "tags": {tag.key: tag.value for tag in tags or ()},
            "params": {param.key: param.value for param in params or ()},
            "path": f"{_FOLDER}/{model_id}",
            "created_ms": now_ms,
            "changed_ms": now_ms,
        }
        self.append("mlflow.model", run_id, record)
        return self.get_logged_model(model_id)

    def finalize_logged_model(self, model_id: str, status: Any) -> Any:
        """Says whether the model's files are there."""
        return self._change(model_id, status=str(getattr(status, "value", status)))

    def log_logged_model_params(self, model_id: str, params: Any) -> None:
        """More parameters of a model."""
        known = self._find(model_id)[1]["params"]
        self._change(model_id, params={**known, **{param.key: param.value for param in params}})

    def set_logged_model_tags(self, model_id: str, tags: Any) -> None:
        """More tags of a model."""
        known = self._find(model_id)[1]["tags"]
        self._change(model_id, tags={**known, **{tag.key: tag.value for tag in tags}})

    def delete_logged_model_tag(self, model_id: str, key: str) -> None:
        """One tag less."""
        known = self._find(model_id)[1]["tags"]
        self._change(model_id, tags={name: value for name, value in known.items() if name != key})

    def delete_logged_model(self, model_id: str) -> None:
        """Hides a model; its files stay."""
        self._change(model_id, is_deleted=True)

    def _change(self, model_id: str, **changes: Any) -> Any:
        run_id, record = self._find(model_id)
        self.append("mlflow.model", run_id, {**record, **changes, "changed_ms": int(time.time() * 1000)})
        view = self.run_view(run_id)
        return entities.logged_model(next(model for model in view.facts.models if model["model_id"] == model_id), view)

    def _find(self, model_id: str) -> Any:
        """(run id, record)"""
        found: List[Any] = [(view.run_id, record) for view in self.run_views(()) for record in view.facts.models]
        for run_id, record in found:
            known: Dict[str, Any] = record
            if known["model_id"] == model_id:
                return run_id, known
        raise MlflowException(f"Logged model with ID '{model_id}' not found.", RESOURCE_DOES_NOT_EXIST)
