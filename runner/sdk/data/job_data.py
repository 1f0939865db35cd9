"""What a run is given of data: paths in the place of objects, and the variables by which the in-job API finds them."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from runner.sdk.data import places
from runner.sdk.data.abstract import AbstractDataset
from runner.sdk.data.consumption import DatasetConsumptionConfig
from runner.sdk.data.file_dataset import FileDataset, link_all
from runner.sdk.data.output import OutputFileDatasetConfig
from runner.sdk.data.reference import DataPath, DataReference
from runner.sdk.data.tabular_dataset import TabularDataset
from runner.sdk.data.written import written
from runner.sdk.exceptions import UserErrorException
from runner.spec.data import DataSpec, InputSpec, OutputSpec
from runner.store.assets import AssetsLayout
from sidecar.contract import settings

if TYPE_CHECKING:
    from runner.sdk.workspace import Workspace

_ELSEWHERE = (
    "{what} is not on this machine, and is not sent: every node of {target} must have it under the same path "
    "(a shared file system, say)"
)
# Smaller: a data set that people have is refused. Larger: a slip of the pen sends a disk for a day.
_LIMIT_MB = 100 * 1024
_PREFIX = settings.AZUREML_DATA_REFERENCE_PREFIX
_REFERENCE = re.compile(rf"\$(?:{_PREFIX}(\w+)|{{{_PREFIX}(\w+)}})")


class OutputFolder(NamedTuple):
    """A folder that the job writes, and the place here, or the address, that its files are brought to."""

    name: str
    place: str
    overwrites: bool


class JobData:
    """Takes the data out of arguments; `variables` is what the job's environment needs for them, `spec` what is brought
    to and from other machines, `warnings` what a person should know.

    On this machine a job is given paths, on others variables that hold them there.
    """

    def __init__(
        self, workspace: Workspace, run_id: str, *, target: str, is_here: bool, is_contained: bool = False
    ) -> None:
        self._workspace = workspace
        self._assets = AssetsLayout.of(workspace.layout)
        self._run_id = run_id
        self._target = target
        self._is_here = is_here
        self._is_contained = is_contained
        # What containers of this machine must see: whether it may only be read, by path.
        self._shared: dict[str, bool] = {}
        self._sent: dict[str, InputSpec] = {}
        self._brought: dict[str, OutputSpec] = {}
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
            name = f"path_{hashlib.sha256(value.place.encode()).hexdigest()[:8]}"
            return self._given(name, self._reachable(value.place), settings.AZUREML_DATA_REFERENCE_PREFIX + name)
        if isinstance(value, AbstractDataset):
            raise UserErrorException(
                "A data set is given to a run under a name: dataset.as_named_input('name'), and .as_mount() for files."
            )
        return value

    def refer(self, name: str, reference: Any) -> str:
        """The path of a data reference, known to the job by its name."""
        place, variable = reference.place, settings.AZUREML_DATA_REFERENCE_PREFIX + name
        if getattr(reference, "mode", "") == "upload" and not places.is_url(place):
            os.makedirs(place, exist_ok=True)
            self._share(place, is_read_only=False)
            if not self._is_here:
                overwrites = bool(getattr(reference, "overwrite", False))
                return self._bring(OutputFolder(name, place, overwrites), variable)
        path = self._given(name, self._reachable(place), variable)
        if not path.startswith("$"):
            self._references[name] = path
        return path

    def expand(self, text: str) -> str:
        """The text with the paths of data references in the place of their variables."""

        def path(found: re.Match[str]) -> str:
            return self._references.get(found[1] or found[2], found[0])

        return _REFERENCE.sub(path, text)

    @property
    def spec(self) -> DataSpec:
        """What is sent to the nodes before the job, and brought from them after it. Raises UserErrorException."""
        return DataSpec(
            inputs=tuple(self._sent.values()),
            outputs=tuple(self._brought.values()),
            shared=tuple(self._shared.items()),
            limit_bytes=_limit_bytes(),
        )

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
        variables = (given.name, settings.AZUREML_DATA_REFERENCE_PREFIX + given.name)
        path = self._given(given.name, self._path_of(given.dataset), *variables)
        if given.path_on_compute:
            where = "in a folder of the node" if path.startswith("$") else f"at {path}"
            self.warnings.append(f"data set {given.name}: path_on_compute is not used; it is {where}")
        self._inputs[given.name] = given.mode
        if not path.startswith("$"):
            self._paths.update(dict.fromkeys(variables, path))
        return path

    def _given(self, name: str, path: str, *variables: str) -> str:
        """What stands for `path` in the job's arguments: itself, or the variable that holds it on each node."""
        if self._is_here:
            self._share(path, is_read_only=True)
            return path
        if not os.path.exists(path):
            self.warnings.append(_ELSEWHERE.format(what=path, target=self._target))
            return path
        from runner.store.inputs import Inputs

        try:
            listed = Inputs(self._workspace.layout).list(path)
        except OSError as error:
            raise UserErrorException(f"The data set {name} cannot be listed: {error}", error) from error
        self._sent[name] = InputSpec(
            name=name,
            listing=listed.id,
            variables=variables,
            file_count=listed.file_count,
            size_bytes=listed.size_bytes,
        )
        return _variable(variables[-1])

    def _path_of(self, dataset: Any) -> str:
        if isinstance(dataset, TabularDataset):
            if dataset._steps or len(dataset.sources) != 1:
                dataset = written(dataset, "csv", ",")
            else:
                return self._reachable(dataset.sources[0])
        assert isinstance(dataset, FileDataset)
        path = dataset.path_for_job
        if path is not None:
            return path
        if not dataset._steps and len(dataset.sources) == 1 and places.is_url(dataset.sources[0]):
            return self._reachable(dataset.sources[0])
        files = dataset._selected()
        key = hashlib.sha256(repr(files).encode()).hexdigest()[:32]
        folder = str(self._assets.downloads / f"links-{key}")
        if not os.path.isdir(folder):
            link_all(files, folder)
        for target in dict.fromkeys(os.path.dirname(file) for _, file in files):
            self._share(target, is_read_only=True)
        return folder

    def _output(self, given: OutputFileDatasetConfig) -> str:
        place = given.place_for(self._workspace, self._run_id)
        variables = (given.name, settings.AZUREML_DATA_REFERENCE_PREFIX + given.name)
        if self._is_here and not places.is_url(place):
            os.makedirs(place, exist_ok=True)
            path = place
            self._share(path, is_read_only=False)
            self._paths.update(dict.fromkeys(variables, path))
        else:
            path = self._bring(OutputFolder(given.name, place, given.overwrites), *variables)
        if given.registration is not None:
            name, description, tags = given.registration
            FileDataset([place]).register(self._workspace, name, description, tags, create_new_version=True)
        self._outputs[given.name] = path
        return path

    def _bring(self, output: OutputFolder, *variables: str) -> str:
        """What stands in the job's arguments for a folder whose files are brought somewhere once the job has ended."""
        if "/" in output.name or output.name in (".", ".."):
            raise UserErrorException(f"Invalid name {output.name!r} for an output: it is the name of a folder.")
        if not places.is_url(output.place):
            try:
                os.makedirs(output.place, exist_ok=True)
            except OSError as error:
                raise UserErrorException(f"The output {output.name} cannot be written: {error}", error) from error
        self._brought[output.name] = OutputSpec(
            name=output.name, destination=output.place, variables=variables, overwrites=output.overwrites
        )
        return _variable(variables[-1])

    def _share(self, path: str, *, is_read_only: bool) -> None:
        if self._is_here and self._is_contained and os.path.exists(path):
            self._shared[path] = self._shared.get(path, True) and is_read_only

    def _reachable(self, place: str) -> str:
        return places.fetched(place, self._assets) if places.is_url(place) else places.local_path(place)


def _variable(name: str) -> str:
    """`$NAME`, in braces where it would end too early."""
    return f"${name}" if name.isidentifier() and name.isascii() else f"${{{name}}}"


def _limit_bytes() -> int:
    text = os.environ.get(settings.DATA_LIMIT_MB, str(_LIMIT_MB))
    try:
        return int(float(text) * 1024 * 1024)
    except (ValueError, OverflowError) as error:
        raise UserErrorException(f"{settings.DATA_LIMIT_MB}={text!r} is not a number of megabytes.", error) from error
