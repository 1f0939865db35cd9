"""Model: files kept in the workspace under a name and a version (azureml-v1.md 2.5)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.sdk.exceptions import ModelNotFoundException, ModelPathNotFoundException, UserErrorException
from runner.sdk.partial import DEPLOYMENT, Partial
from runner.store import assets, models
from runner.store.assets import MODELS, AssetsLayout
from sidecar.contract.layout import WorkspaceLayout

if TYPE_CHECKING:
    from runner.sdk.experiment import Experiment
    from runner.sdk.run import Run
    from runner.sdk.workspace import Workspace

_SHOWN_NAMES = 50


class Model(Partial):
    """A registered model; by default the newest version of `name`, or `id` = "name:version".

    Raises ModelNotFoundException.
    """

    _elsewhere = dict.fromkeys(("deploy", "package", "profile"), DEPLOYMENT)

    class Framework:
        """The frameworks that v1 names."""

        CUSTOM = "Custom"
        TENSORFLOW = "TensorFlow"
        SCIKITLEARN = "ScikitLearn"
        ONNX = "Onnx"
        PYTORCH = "PyTorch"
        TFKERAS = "TfKeras"
        MULTI = "Multi"

    def __init__(
        self,
        workspace: Workspace,
        name: str | None = None,
        id: str | None = None,
        tags: Any = None,
        properties: Any = None,
        version: int | None = None,
        run_id: str | None = None,
        model_framework: str | None = None,
        **_others: Any,
    ) -> None:
        if name is None and id is not None:
            name, _, text = id.rpartition(":")
            version = int(text)
        if not name:
            raise UserErrorException("Either the model's name or its id must be given.")
        fitting = [
            found
            for found in models.read_models(workspace.layout, name)
            if version in (None, found["version"])
            and run_id in (None, found["run_id"])
            and model_framework in (None, found["model_framework"])
            and _has(found["tags"], tags)
            and _has(found["properties"], properties)
        ]
        if not fitting:
            raise _not_found(workspace.layout, name, version)
        self._take(workspace, fitting[-1])

    def _take(self, workspace: Workspace, record: dict[str, Any]) -> None:
        self.workspace = workspace
        self._record = record
        self.name: str = record["name"]
        self.version: int = record["version"]
        self.description: str | None = record["description"]
        self.tags: dict[str, str] = record["tags"]
        self.properties: dict[str, str] = record["properties"]
        self.run_id: str | None = record["run_id"]
        self.experiment_name: str | None = record["experiment_name"]
        self.model_framework: str | None = record["model_framework"]
        self.model_framework_version: str | None = record["model_framework_version"]
        self.created_time = datetime.fromisoformat(record["created_time"])
        self.created_by: str = record["created_by"]

    @property
    def id(self) -> str:
        """`name:version`."""
        return f"{self.name}:{self.version}"

    @property
    def _folder(self) -> Path:
        return AssetsLayout.of(self.workspace.layout).version(MODELS, self.name, self.version)

    @property
    def url(self) -> str:
        """Where its files are."""
        return models.files_of(self.workspace.layout, self.name, self.version).as_uri()

    @property
    def run(self) -> Run | None:
        """The run that it was registered from, if it was from one."""
        return None if self.run_id is None else self.workspace.get_run(self.run_id)

    @staticmethod
    def register(
        workspace: Workspace,
        model_path: str | os.PathLike[str],
        model_name: str,
        tags: Mapping[str, Any] | None = None,
        properties: Mapping[str, Any] | None = None,
        description: str | None = None,
        datasets: Any = None,
        model_framework: Any = None,
        model_framework_version: str | None = None,
        child_paths: Any = None,
        **_others: Any,
    ) -> Model:
        """Keeps a file or folder of this machine as the next version of a model. Raises UserErrorException for none."""
        path = Path(model_path).expanduser()
        if not path.exists():
            raise UserErrorException(f'Error, provided model path "{model_path}" cannot be found')
        about = {
            "tags": tags,
            "properties": properties,
            "description": description,
            "datasets": datasets,
            "model_framework": model_framework,
            "model_framework_version": model_framework_version,
        }
        return _register(workspace, model_name, path, {**about, "run_id": None, "experiment_name": None})

    @staticmethod
    def list(
        workspace: Workspace, name: str | None = None, tags: Any = None, latest: bool = False, **_others: Any
    ) -> Any:
        """The models of the workspace, newest first; `latest` keeps one of each name."""
        names = [name] if name else assets.list_names(AssetsLayout.of(workspace.layout), MODELS)
        found = []
        for each in names:
            records = [record for record in models.read_models(workspace.layout, each) if _has(record["tags"], tags)]
            for record in records[-1:] if latest else records:
                found.append(Model.__new__(Model))
                found[-1]._take(workspace, record)
        return sorted(found, key=lambda model: model.created_time, reverse=True)

    @staticmethod
    def get_model_path(model_name: str, version: int | None = None, _workspace: Workspace | None = None) -> str:
        """The path of the model's file or folder. Raises ModelNotFoundException."""
        from runner.store.workspace import find_workspace

        layout = _workspace.layout if _workspace is not None else find_workspace(os.environ, Path.cwd())
        fitting = [record for record in models.read_models(layout, model_name) if version in (None, record["version"])]
        if not fitting:
            raise _not_found(layout, model_name, version)
        return str(models.content_of(layout, fitting[-1]))

    def download(self, target_dir: str = ".", exist_ok: bool = False, exists_ok: bool | None = None) -> str:
        """Copies the model below `target_dir`; returns where it is. Raises UserErrorException where it is there."""
        source = models.content_of(self.workspace.layout, self._record)
        target = Path(target_dir) / source.name
        if target.exists() and not (exist_ok or exists_ok):
            raise UserErrorException(f"{target} exists; exist_ok=True replaces it.")
        Path(target_dir).mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copyfile(source, target)
        return str(target)

    def add_tags(self, tags: Mapping[str, Any]) -> None:
        """Sets some tags and keeps the others."""
        self._change({"tags": {**self.tags, **models.texts(tags)}})

    def remove_tags(self, tags: Any) -> None:
        """Removes the tags with these names."""
        gone = {tags} if isinstance(tags, str) else set(tags)
        self._change({"tags": {key: value for key, value in self.tags.items() if key not in gone}})

    def add_properties(self, properties: Mapping[str, Any]) -> None:
        """Adds properties; those that are there stay."""
        self._change({"properties": {**models.texts(properties), **self.properties}})

    def update(self, tags: Mapping[str, Any] | None = None, description: str | None = None, **_others: Any) -> None:
        """Replaces the tags, the description, or both."""
        changes: dict[str, Any] = {} if tags is None else {"tags": models.texts(tags)}
        self._change({**changes, **({} if description is None else {"description": description})})

    def _change(self, changes: dict[str, Any]) -> None:
        record = {**assets.read_json(self._folder / models.RECORD), **changes}
        assets.write_json(self._folder / models.RECORD, record)
        self._take(self.workspace, {**record, "version": self.version})

    def delete(self) -> None:
        """Removes this version and its files."""
        shutil.rmtree(self._folder)

    def serialize(self) -> dict[str, Any]:
        """What there is to know of it, under v1's keys."""
        return {
            "id": self.id,
            "name": self.name,
            "version": self.version,
            "tags": self.tags,
            "properties": self.properties,
            "description": self.description,
            "createdTime": self._record["created_time"],
            "framework": self.model_framework,
            "frameworkVersion": self.model_framework_version,
            "runId": self.run_id,
            "experimentName": self.experiment_name,
            "url": self.url,
        }

    def __repr__(self) -> str:
        return (
            f"Model(workspace={self.workspace!r}, name={self.name}, id={self.id}, version={self.version}, "
            f"tags={self.tags}, properties={self.properties})"
        )


def register_from_run(
    experiment: Experiment, run_id: str, name: str, *, model_path: str, about: Mapping[str, Any]
) -> Model:
    """Keeps the run's file or folder `model_path` as the next version. Raises ModelPathNotFoundException."""
    from runner.history.file_names import place_of
    from runner.sdk.run_files import list_file_names

    layout = experiment.workspace.layout.run(run_id)
    path = os.path.normpath(model_path)
    names = list_file_names(layout)
    if not any(known == path or known.startswith(f"{path}/") for known in names):
        listing = "\n".join(names[:_SHOWN_NAMES])
        raise ModelPathNotFoundException(
            f"Could not locate the provided model_path {path} in the set of files uploaded to the run:\n{listing}"
        )
    origin = {"run_id": run_id, "experiment_name": experiment.name}
    return _register(experiment.workspace, name, place_of(layout, path), {**about, **origin})


def _register(workspace: Workspace, name: str, source: Path, about: Mapping[str, Any]) -> Model:
    from runner.store.workspace import create

    create(workspace.layout)
    model = Model.__new__(Model)
    model._take(workspace, models.add_model(workspace.layout, name, source, about))
    return model


def _not_found(workspace: WorkspaceLayout, name: str, version: int | None) -> ModelNotFoundException:
    known = ", ".join(assets.list_names(AssetsLayout.of(workspace), MODELS)) or "none"
    which = f"{name} and version {version}" if version is not None else name
    return ModelNotFoundException(
        f"ModelNotFound: Model with name {which} not found in the workspace. Registered are: {known}."
    )


def _has(found: Mapping[str, str], wanted: Any) -> bool:
    """v1's filter: a list whose items are names that must be there, or [name, value] pairs."""
    for item in wanted or ():
        name, value = item if isinstance(item, (list, tuple)) else (item, None)
        if name not in found or (value is not None and found[name] != value):
            return False
    return True
