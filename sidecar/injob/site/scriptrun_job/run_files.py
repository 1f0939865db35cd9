"""The calls about files of a run (azureml-v1.md 2.5)."""

from __future__ import annotations

import os

from scriptrun_job.errors import ModelPathNotFoundException, UserErrorException
from scriptrun_job.run_base import RunBase

TYPE_CHECKING = False  # `typing` would cost every process more than the rest of this package.
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Sequence

    from scriptrun_job.models import Model


class RunFiles(RunBase):
    """What a run keeps of files."""

    def upload_file(self, name: str, path_or_stream: Any, datastore_name: Optional[str] = None) -> None:
        """Keeps a copy of a file or stream under `name` in the run.

        Raises UserErrorException where the run has such a file already, or there is nothing to copy.
        """
        size = self._files.add(name, path_or_stream)
        self._say("file", name=str(name), value=size)

    def upload_files(
        self,
        names: Sequence[str],
        paths: Sequence[Any],
        return_artifacts: bool = False,
        timeout_seconds: Optional[int] = None,
        datastore_name: Optional[str] = None,
    ) -> None:
        """Keeps copies of several files. Raises TypeError where there are not as many names as paths."""
        if len(names) != len(paths):
            raise TypeError(
                f"names and paths must be lists of equal lengths. Names was of length {len(names)} "
                f"and paths of length {len(paths)}."
            )
        for name, path in zip(names, paths):
            self.upload_file(name, path)

    def upload_folder(self, name: str, path: str, datastore_name: Optional[str] = None) -> None:
        """Keeps copies of everything below the folder `path` under `name/`. Raises UserErrorException for no folder."""
        if not os.path.isdir(path):
            raise UserErrorException(f"Folder path doesn't exist: {path}")
        for folder, folders, files in os.walk(path):
            folders.sort()
            for file in sorted(files):
                source = os.path.join(folder, file)
                self.upload_file(os.path.join(name, os.path.relpath(source, path)), source)

    def get_file_names(self) -> List[str]:
        """The names of the run's files that are on this node."""
        return self._files.names()

    def download_file(
        self, name: str, output_file_path: Optional[str] = None, _validate_checksum: bool = False
    ) -> None:
        """Copies a file of the run, by default into the current folder. Raises UserErrorException where it has none."""
        import shutil

        target = output_file_path or os.path.basename(name)
        if target.endswith(os.sep) or os.path.isdir(target):
            target = os.path.join(target, os.path.basename(name))
        source = self._files.find(name)
        os.makedirs(os.path.dirname(target) or ".", exist_ok=True)
        shutil.copyfile(source, target)

    def download_files(
        self,
        prefix: Optional[str] = None,
        output_directory: Optional[str] = None,
        output_paths: Optional[Sequence[str]] = None,
        batch_size: int = 100,
        append_prefix: bool = True,
        timeout_seconds: Optional[int] = None,
    ) -> None:
        """Copies the files whose names start with `prefix` below `output_directory`, or each to its own place."""
        names = [name for name in self.get_file_names() if name.startswith(prefix or "")]
        if output_paths is None:
            folder = (prefix or "").rstrip("/")
            cut = len(folder) + 1 if folder and not append_prefix else 0
            output_paths = [name[cut:] if name.startswith(f"{folder}/") else name for name in names]
        elif len(output_paths) != len(names):
            raise UserErrorException(f"output_paths has {len(output_paths)} places for {len(names)} files.")
        for name, path in zip(names, output_paths):
            self.download_file(name, os.path.join(output_directory or "", path))

    def register_model(
        self,
        model_name: str,
        model_path: Optional[str] = None,
        tags: Optional[Dict[str, Any]] = None,
        properties: Optional[Dict[str, Any]] = None,
        model_framework: Optional[str] = None,
        model_framework_version: Optional[str] = None,
        description: Optional[str] = None,
        **_others: Any,
    ) -> Model:
        """Asks for a file or folder of the run to be registered as a model, which happens on the submitting side.

        Raises ModelPathNotFoundException where the run has no such file.
        """
        from scriptrun_job.models import Model

        path = os.path.normpath(model_path or model_name)
        names = self.get_file_names()
        is_there = any(name == path or name.startswith(f"{path}/") for name in names)
        # What lies in `outputs/` of the working directory is collected once the script has ended.
        if not is_there and not (path.split(os.sep)[0] in ("outputs", "logs") and os.path.exists(path)):
            raise ModelPathNotFoundException(
                f"Could not locate the provided model_path {path} in the set of files uploaded to the run: {names}"
            )
        model = Model.asked_for(
            model_name,
            tags={str(key): str(value) for key, value in (tags or {}).items()},
            properties={str(key): str(value) for key, value in (properties or {}).items()},
            description=description,
            run_id=self._child or self._job.run_id,
            model_framework=None if model_framework is None else str(model_framework),
            model_framework_version=model_framework_version,
        )
        self._say(
            "model",
            name=model_name,
            value={
                "path": path,
                "tags": model.tags,
                "properties": model.properties,
                "description": description,
                "framework": model.model_framework,
                "framework_version": model_framework_version,
            },
        )
        return model
