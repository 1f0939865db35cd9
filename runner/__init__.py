"""Runs scripts on machines that the user owns, the way Azure ML SDK v1's ScriptRunConfig did.

The names below load when they are first used, so that the command stays quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from runner.version import VERSION

if TYPE_CHECKING:
    from runner.sdk import (
        AmlCompute,
        ComputeTarget,
        CondaDependencies,
        Dataset,
        Datastore,
        DockerConfiguration,
        Environment,
        Experiment,
        Model,
        MpiConfiguration,
        OutputFileDatasetConfig,
        PyTorchConfiguration,
        RemoteCompute,
        Run,
        RunConfiguration,
        ScriptRunConfig,
        TensorflowConfiguration,
        Workspace,
    )

__version__ = VERSION
__all__ = [
    "AmlCompute",
    "ComputeTarget",
    "CondaDependencies",
    "Dataset",
    "Datastore",
    "DockerConfiguration",
    "Environment",
    "Experiment",
    "Model",
    "MpiConfiguration",
    "OutputFileDatasetConfig",
    "PyTorchConfiguration",
    "RemoteCompute",
    "Run",
    "RunConfiguration",
    "ScriptRunConfig",
    "TensorflowConfiguration",
    "Workspace",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.sdk"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
