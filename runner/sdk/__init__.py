"""The Python way: Azure ML v1's objects over the runner, with their parameters and meaning (DESIGN section 6)."""

from runner.sdk.distributed import (
    DockerConfiguration,
    MpiConfiguration,
    PyTorchConfiguration,
    TensorflowConfiguration,
)
from runner.sdk.environment import Environment
from runner.sdk.experiment import Experiment
from runner.sdk.run import Run
from runner.sdk.run_configuration import RunConfiguration
from runner.sdk.script_run_config import ScriptRunConfig
from runner.sdk.workspace import Workspace

__all__ = [
    "DockerConfiguration",
    "Environment",
    "Experiment",
    "MpiConfiguration",
    "PyTorchConfiguration",
    "Run",
    "RunConfiguration",
    "ScriptRunConfig",
    "TensorflowConfiguration",
    "Workspace",
]
