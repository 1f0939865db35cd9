"""How many processes a job has, and whether it runs in Docker (reference azureml-v1.md 1.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from runner.sdk.element import Element
from runner.sdk.exceptions import RunConfigurationException

DEFAULT_SHM_SIZE = "2g"
# As v1 writes them in a run configuration.
LOCAL = "local"
PARAMETER_SERVER = "ParameterServer"
MPI_COMMUNICATORS = ("IntelMpi", "OpenMpi")
_BACKENDS = ("nccl", "gloo")


@dataclass
class MpiConfiguration(Element):
    """An MPI job: `process_count_per_node` ranks on each of `node_count` nodes."""

    process_count_per_node: int = 1
    node_count: int = 1


@dataclass
class PyTorchConfiguration(Element):
    """A torch.distributed job: `process_count` is the TOTAL over all nodes; left out, there is one a node.

    Raises RunConfigurationException for a backend other than nccl and gloo.
    """

    communication_backend: str = "Nccl"
    process_count: int | None = None
    node_count: int = 1

    def __post_init__(self) -> None:
        if str(self.communication_backend).lower() not in _BACKENDS:
            raise RunConfigurationException(
                f"{self.communication_backend} is not a supported backend. "
                "'communication_backend' must be 'Nccl' or 'Gloo'."
            )
        self.communication_backend = str(self.communication_backend).lower()
        if self.process_count is None:
            self.process_count = self.node_count


@dataclass
class TensorflowConfiguration(Element):
    """A TensorFlow job with workers and parameter servers; there are as many nodes as workers."""

    worker_count: int = 1
    parameter_server_count: int = 1


@dataclass
class DockerConfiguration(Element):
    """Whether a job runs in Docker, and the arguments of `docker run`."""

    use_docker: bool = False
    shared_volumes: bool = True
    arguments: Sequence[str] = field(default_factory=list)
    shm_size: str | None = DEFAULT_SHM_SIZE

    def __post_init__(self) -> None:
        self.arguments = list(self.arguments or ())
