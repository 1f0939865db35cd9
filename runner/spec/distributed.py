"""How many processes a job has, on how many nodes, and which launcher starts them (azureml-v1.md 1.5).

MpiSpec           node_count x process_count_per_node ranks, started by the job's own MPI
PyTorchSpec       process_count ranks in all, the same number on every node, with torch's variables
TensorflowSpec    worker_count nodes, a worker on each; parameter servers beside them, with TF_CONFIG
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from runner.errors import UsageError

COUNT_LIMIT = 100_000  # far above any machine park; a typed-in date or port is refused before it becomes a plan
BACKENDS = ("Nccl", "Gloo")


def check_count(value: object, name: str, *, minimum: int = 1) -> None:
    """Raises UsageError unless `value` is a whole number from `minimum` to the limit; True is no number."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise UsageError(f"'{name}' must be a whole number from {minimum}, found {value!r}")
    if not minimum <= value <= COUNT_LIMIT:
        limit = f"at least {minimum}" if value < minimum else f"at most {COUNT_LIMIT}"
        raise UsageError(f"'{name}' must be {limit}, found {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MpiSpec:
    """An MPI job. Raises UsageError for counts that are none."""

    process_count_per_node: int = 1
    node_count: int = 1

    def __post_init__(self) -> None:
        check_count(self.process_count_per_node, "process_count_per_node")
        check_count(self.node_count, "node_count")
        check_count(self.process_count, "process_count_per_node x node_count")

    @property
    def process_count(self) -> int:
        """All ranks."""
        return self.process_count_per_node * self.node_count

    def to_record(self) -> dict[str, Any]:
        """The spec as JSON values."""
        return {
            "type": "Mpi",
            "process_count_per_node": self.process_count_per_node,
            "node_count": self.node_count,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PyTorchSpec:
    """A torch.distributed job. `process_count` is the total, as in Azure ML v1. Raises UsageError.

    `of` takes what a user gives, with parts left out.
    """

    process_count: int = 1
    node_count: int = 1
    communication_backend: str = "Nccl"

    def __post_init__(self) -> None:
        check_count(self.node_count, "node_count")
        check_count(self.process_count, "process_count")
        if self.process_count % self.node_count:
            raise UsageError(
                f"process_count {self.process_count} is the total and cannot be shared evenly by "
                f"{self.node_count} nodes",
                hint=f"process_count: {_next_multiple(self.process_count, self.node_count)}, or process_count_per_node",
            )
        object.__setattr__(self, "communication_backend", checked_backend(self.communication_backend))

    @classmethod
    def of(
        cls,
        *,
        communication_backend: str | None = None,
        process_count: int | None = None,
        process_count_per_node: int | None = None,
        node_count: int | None = None,
    ) -> PyTorchSpec:
        """The spec for what was given; with neither count of processes, one a node. Raises UsageError."""
        nodes = 1 if node_count is None else node_count
        check_count(nodes, "node_count")
        total = nodes if process_count is None else process_count
        if process_count_per_node is not None:
            check_count(process_count_per_node, "process_count_per_node")
            total = nodes * process_count_per_node
            if process_count not in (None, total):
                raise UsageError(
                    f"process_count {process_count} is not process_count_per_node {process_count_per_node} x "
                    f"node_count {nodes}",
                    hint="give one of the two; process_count is the total",
                )
        return cls(process_count=total, node_count=nodes, communication_backend=communication_backend or "Nccl")

    @property
    def process_count_per_node(self) -> int:
        """The ranks on every node."""
        return self.process_count // self.node_count

    def to_record(self) -> dict[str, Any]:
        """The spec as JSON values."""
        return {
            "type": "PyTorch",
            "process_count": self.process_count,
            "node_count": self.node_count,
            "communication_backend": self.communication_backend,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorflowSpec:
    """A TF_CONFIG job: one worker a node. Raises UsageError for counts that are none."""

    worker_count: int = 1
    parameter_server_count: int = 1

    def __post_init__(self) -> None:
        check_count(self.worker_count, "worker_count")
        check_count(self.parameter_server_count, "parameter_server_count", minimum=0)

    @property
    def node_count(self) -> int:
        """As many nodes as workers."""
        return self.worker_count

    @property
    def process_count(self) -> int:
        """Workers and parameter servers."""
        return self.worker_count + self.parameter_server_count

    def to_record(self) -> dict[str, Any]:
        """The spec as JSON values."""
        return {
            "type": "Tensorflow",
            "worker_count": self.worker_count,
            "parameter_server_count": self.parameter_server_count,
        }


DistributedSpec: TypeAlias = MpiSpec | PyTorchSpec | TensorflowSpec

_TYPES: Mapping[str, type[MpiSpec] | type[PyTorchSpec] | type[TensorflowSpec]] = {
    "Mpi": MpiSpec,
    "PyTorch": PyTorchSpec,
    "Tensorflow": TensorflowSpec,
}


def distributed_from_record(record: Mapping[str, Any] | None) -> DistributedSpec | None:
    """The inverse of `to_record`; None for None."""
    if record is None:
        return None
    fields = {key: value for key, value in record.items() if key != "type"}
    return _TYPES[record["type"]](**fields)


def checked_backend(backend: object) -> str:
    """`Nccl` or `Gloo`, however its letters were written. Raises UsageError with Azure ML v1's message otherwise."""
    for known in BACKENDS:
        if isinstance(backend, str) and backend.lower() == known.lower():
            return known
    raise UsageError(f"{backend} is not a supported backend. 'communication_backend' must be 'Nccl' or 'Gloo'.")


def _next_multiple(count: int, step: int) -> int:
    return -(-count // step) * step
