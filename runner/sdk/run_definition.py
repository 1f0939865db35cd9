"""`runDefinition` in a run's details: the request in the camelCase keys of a `.runconfig` (azureml-v1.md 1.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.history.run_record import RunRecord

_FRAMEWORKS = {"Mpi": ("Python", "IntelMpi"), "Tensorflow": ("TensorFlow", "ParameterServer")}


def definition_of(record: RunRecord) -> dict[str, Any]:
    """What the run was asked for; what the record lacks is left empty, so that a damaged one still has details."""
    request = record.request
    distributed: Mapping[str, Any] = request.get("distributed") or {}
    framework, communicator = _launcher(distributed)
    environment: Mapping[str, Any] = request.get("environment") or {}
    return {
        "script": request.get("script"),
        "command": request.get("command") or "",
        "arguments": list(request.get("arguments") or ()),
        "target": record.target,
        "framework": framework,
        "communicator": communicator,
        "maxRunDurationSeconds": request.get("max_run_duration_seconds"),
        "nodeCount": len(record.nodes) or 1,
        "environment": {
            "name": environment.get("name"),
            "environmentVariables": dict(environment.get("environment_variables") or {}),
            "python": {
                "userManagedDependencies": environment.get("user_managed_dependencies"),
                "interpreterPath": environment.get("interpreter_path"),
                "pipRequirements": environment.get("pip_requirements"),
                "condaDependenciesFile": environment.get("conda_dependencies_file"),
            },
            "docker": _camel(environment.get("docker") or {}),
        },
        "docker": _camel(request.get("docker") or {}),
        **_counts(distributed),
    }


def _launcher(distributed: Mapping[str, Any]) -> tuple[str, str]:
    kind = distributed.get("type")
    if kind == "PyTorch":
        return "PyTorch", str(distributed.get("communication_backend")).lower()
    return _FRAMEWORKS.get(str(kind), ("Python", "None"))


def _counts(distributed: Mapping[str, Any]) -> dict[str, Any]:
    kind = distributed.get("type")
    if kind is None:
        return {}
    return {str(kind).lower(): _camel({key: value for key, value in distributed.items() if key != "type"})}


def _camel(section: Mapping[str, Any]) -> dict[str, Any]:
    from runner.spec.keys import to_camel

    return {to_camel(key): value for key, value in section.items()}
