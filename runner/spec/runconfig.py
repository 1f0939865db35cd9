"""Azure ML v1's `.runconfig` files: where they lie, and writing one that reads back as the same request."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.spec.compute import LOCAL, ComputeTarget, LocalTarget
from runner.spec.distributed import DistributedSpec, MpiSpec, PyTorchSpec
from runner.spec.environment import EnvironmentSpec
from runner.spec.keys import to_camel
from runner.spec.places import CONFIG_FOLDERS
from runner.spec.request import RunRequest
from sidecar.contract.publish import write_whole


def base_folder(path: Path) -> str:
    """The folder that paths in the config at `path` are relative to: its own, or the project that `.azureml/` is in."""
    folder = Path(os.path.abspath(path)).parent
    return str(folder.parent if folder.name in CONFIG_FOLDERS else folder)


def write_runconfig(request: RunRequest, path: Path) -> None:
    """Writes `request` as a `.runconfig`, durably; `read_request(path)` gives an equal request while its files exist.

    Raises OSError where the file cannot be written.
    """
    import yaml

    text = yaml.safe_dump(runconfig_values(request), sort_keys=False, width=1000)  # raw U+0085 would be folded
    write_whole(path, text.encode("utf-8"), mode=0o644)


def runconfig_values(request: RunRequest) -> dict[str, Any]:
    """The content of a `.runconfig`: camelCase keys, in the order of a generated file, ours behind them."""
    values: dict[str, Any] = {
        "script": request.script,
        "command": request.command or "",
        "arguments": list(request.arguments),
        "target": _target(request.compute_target),
        **_launcher(request.distributed, request.plain_node_count),
        "maxRunDurationSeconds": request.max_run_duration_seconds,
        "environment": _environment(request.environment),
        "docker": _camel(request.docker.to_record()),
        "experimentName": request.experiment_name,
        "sourceDirectory": request.source_directory,
        "tags": dict(request.tags),
    }
    if request.mlflow is not None:
        values["mlflow"] = _camel(request.mlflow.to_record())
    return values


def _launcher(spec: DistributedSpec | None, plain_node_count: int | None) -> dict[str, Any]:
    if spec is None:
        return {"framework": "Python", "communicator": "None", "nodeCount": plain_node_count}
    fields = _camel({key: value for key, value in spec.to_record().items() if key != "type"})
    if isinstance(spec, MpiSpec):
        return {"framework": "Python", "communicator": "IntelMpi", "nodeCount": spec.node_count, "mpi": fields}
    if isinstance(spec, PyTorchSpec):
        backend = spec.communication_backend.lower()
        return {"framework": "PyTorch", "communicator": backend, "nodeCount": spec.node_count, "pytorch": fields}
    return {
        "framework": "TensorFlow",
        "communicator": "ParameterServer",
        "nodeCount": spec.node_count,
        "tensorflow": fields,
    }


def _environment(environment: EnvironmentSpec) -> dict[str, Any]:
    record = environment.to_record()
    variables = record.pop("environment_variables")
    docker = record.pop("docker")
    name = record.pop("name")
    return {"name": name, "environmentVariables": variables, "python": _camel(record), "docker": _camel(docker)}


def _target(target: ComputeTarget) -> Any:
    if target == LocalTarget():
        return LOCAL
    record = _camel(target.to_record())
    if "nodes" in record:
        record["nodes"] = [_camel(node) for node in record["nodes"]]
    return record


def _camel(record: Mapping[str, Any]) -> dict[str, Any]:
    return {to_camel(key): value for key, value in record.items()}
