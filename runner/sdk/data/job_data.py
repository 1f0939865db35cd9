"""What a run is given of data: paths in the place of objects, and the variables by which the in-job API finds them."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runner.sdk.data import places
from runner.sdk.data.abstract import AbstractDataset
from runner.sdk.data.consumption import DatasetConsumptionConfig
from runner.sdk.data.file_dataset import FileDataset, link_all
from runner.sdk.data.output import OutputFileDatasetConfig
from runner.sdk.data.reference import DataPath, DataReference
from runner.sdk.data.tabular_dataset import TabularDataset
from runner.sdk.data.written import written
from runner.sdk.exceptions import UserErrorException
from runner.store.assets import AssetsLayout
from sidecar.contract import settings

if TYPE_CHECKING:
    from runner.sdk.workspace import Workspace

_ELSEWHERE = (
    "data sets are not sent to other machines: {what} must be reachable on every node of {target} under the same path "
    "(a shared file system, say)"
)
_PREFIX = settings.AZUREML_DATA_REFERENCE_PREFIX
_REFERENCE = re.compile(rf"\$(?:{_PREFIX}(\w+)|{{{_PREFIX}(\w+)}})")


class JobData:
    """Takes the data out of arguments; `variables` is what the job's environment needs for them, `warnings` what a
    person should know.
    """

    def __init__(self, workspace: Workspace, run_id: str, *, target: str, is_here: bool) -> None:
        self._workspace = workspace
        self._assets = AssetsLayout.of(workspace.layout)
        self._run_id = run_id
        self._target = target
        self._is_here = is_here
        self._inputs: dict[str, str] = {}
        self._outputs: dict[str, str] = {}
        self._paths: dict[str, str] = {}
        self._references: dict[str, str] = {}
        self.warnings: list[str] = []

    def take(self, value: Any) -> Any:
        """A path for a value that is data, and any other value as it is. Raises UserErrorException."""
        if isinstance(value, DatasetConsumptionConfig):
            return self._input(value)
        if isinstance(value, OutputFileDatasetConfig):
            return self._output(value)
        if isinstance(value, DataReference):
            return self.refer(value.data_reference_name, value)
        if isinstance(value, DataPath):
            return self._reachable(value.place)
        if isinstance(value, AbstractDataset):
            raise UserErrorException(
                "A data set is given to a run under a name: dataset.as_named_input('name'), and .as_mount() for files."
            )
        return value

    def refer(self, name: str, reference: Any) -> str:
        """The path of a data reference, known to the job by its name."""
        place = reference.place
        if getattr(reference, "mode", "") == "upload" and not places.is_url(place):
            os.makedirs(place, exist_ok=True)
        self._references[name] = self._reachable(place)
        return self._references[name]

    def expand(self, text: str) -> str:
        """The text with the paths of data references in the place of their variables."""

        def path(found: re.Match[str]) -> str:
            return self._references.get(found[1] or found[2], found[0])

        return _REFERENCE.sub(path, text)

    @property
    def variables(self) -> Mapping[str, str]:
        """The variables by which the script and the in-job API find the data; empty where there are none."""
        found = dict(self._paths)
        for name, path in self._references.items():
            found[settings.AZUREML_DATA_REFERENCE_PREFIX + name] = path
        if self._inputs:
            found[settings.AZUREML_DATASETS] = "".join(f"{name}:{mode}," for name, mode in self._inputs.items())
        if self._outputs:
            found[settings.AZUREML_DATASET_OUTPUTS] = ";".join(self._outputs)
        return found

    def _input(self, given: DatasetConsumptionConfig) -> str:
        path = self._path_of(given.dataset, given.mode)
        if given.path_on_compute:
            self.warnings.append(f"data set {given.name}: path_on_compute is not used; it is at {path}")
        self._inputs[given.name] = given.mode
        self._know(given.name, path)
        return path

    def _path_of(self, dataset: Any, mode: str) -> str:
        if isinstance(dataset, TabularDataset):
            if dataset._steps or len(dataset.sources) != 1:
                dataset = written(dataset, "csv", ",")
            else:
                return self._reachable(dataset.sources[0])
        assert isinstance(dataset, FileDataset)
        path = dataset.path_for_job
        if path is not None:
            return self._warned(path)
        if not dataset._steps and len(dataset.sources) == 1 and places.is_url(dataset.sources[0]):
            return self._reachable(dataset.sources[0])
        files = dataset._selected()
        key = hashlib.sha256(repr(files).encode()).hexdigest()[:32]
        folder = str(self._assets.downloads / f"links-{key}")
        if not os.path.isdir(folder):
            link_all(files, folder)
        return self._warned(folder)

    def _output(self, given: OutputFileDatasetConfig) -> str:
        if self._is_here:
            path = given.place_for(self._workspace, self._run_id)
            os.makedirs(path, exist_ok=True)
        else:
            path = f"outputs/{given.name}"
            self.warnings.append(f"output {given.name}: the nodes' files are kept in the run, below {path}")
        if given.registration is not None:
            name, description, tags = given.registration
            kept = path if self._is_here else str(self._workspace.layout.run(self._run_id).root / path)
            FileDataset([kept]).register(self._workspace, name, description, tags, create_new_version=True)
        self._outputs[given.name] = path
        self._know(given.name, path)
        return path

    def _know(self, name: str, path: str) -> None:
        self._paths[name] = path
        self._paths[settings.AZUREML_DATA_REFERENCE_PREFIX + name] = path

    def _reachable(self, place: str) -> str:
        return self._warned(places.fetched(place, self._assets) if places.is_url(place) else places.local_path(place))

    def _warned(self, path: str) -> str:
        if not self._is_here:
            self.warnings.append(_ELSEWHERE.format(what=path, target=self._target))
        return path
