"""The Python way: Azure ML v1's objects over the runner, with their parameters and meaning (DESIGN section 6)."""

from runner.sdk.compute import AmlCompute, ComputeTarget, RemoteCompute
from runner.sdk.conda_dependencies import CondaDependencies
from runner.sdk.data.dataset import Dataset
from runner.sdk.data.datastore import Datastore
from runner.sdk.data.output import OutputFileDatasetConfig
from runner.sdk.distributed import (
    DockerConfiguration,
    MpiConfiguration,
    PyTorchConfiguration,
    TensorflowConfiguration,
)
from runner.sdk.environment import Environment
from runner.sdk.experiment import Experiment
from runner.sdk.model import Model
from runner.sdk.run import Run
from runner.sdk.run_configuration import RunConfiguration
from runner.sdk.script_run_config import ScriptRunConfig
from runner.sdk.workspace import Workspace

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
