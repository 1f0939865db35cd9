"""Everything that one run was asked for, as one frozen value: what a config file and the Python API both end in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.errors import UsageError
from runner.spec.argument import check_argument, check_size
from runner.spec.compute import ComputeTarget, LocalTarget, SshNode, SshTarget, target_from_record
from runner.spec.data import DataSpec
from runner.spec.distributed import (
    DistributedSpec,
    MpiSpec,
    PyTorchSpec,
    TensorflowSpec,
    check_count,
    distributed_from_record,
)
from runner.spec.environment import DockerSpec, EnvironmentSpec, ImageSpec
from runner.spec.mlflow_mirror import MirrorSpec
from sidecar.contract.layout import is_experiment_name

__all__ = [
    "ComputeTarget",
    "DataSpec",
    "DistributedSpec",
    "DockerSpec",
    "EnvironmentSpec",
    "ImageSpec",
    "LocalTarget",
    "MirrorSpec",
    "MpiSpec",
    "PyTorchSpec",
    "RunRequest",
    "SshNode",
    "SshTarget",
    "TensorflowSpec",
]

DURATION_LIMIT_S = 1_000_000_000  # 31 years; a larger number is a time in another unit


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """One run's request. Raises UsageError where it cannot be meant; whether files exist is not looked at here.

    `source_directory` is absolute, `script` relative to it. Exactly one of `script` and `command` is given, and
    `arguments` only with a script. `plain_node_count` is the number of nodes asked for without a launcher.
    `warnings` are for the person who submits; they are no part of the request's value.
    """

    experiment_name: str
    source_directory: str
    script: str | None = None
    arguments: tuple[str, ...] = ()
    command: str | None = None
    environment: EnvironmentSpec = field(default_factory=EnvironmentSpec)
    compute_target: ComputeTarget = field(default_factory=LocalTarget)
    distributed: DistributedSpec | None = None
    plain_node_count: int | None = None
    docker: DockerSpec = field(default_factory=DockerSpec)
    max_run_duration_seconds: int | None = None
    tags: dict[str, str] = field(default_factory=dict)
    mlflow: MirrorSpec | None = None
    data: DataSpec = field(default_factory=DataSpec)
    warnings: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        check_experiment_name(self.experiment_name)
        self._check_what_runs()
        self._check_where()
        if self.max_run_duration_seconds is not None:
            _check_duration(self.max_run_duration_seconds)
        _check_tags(self.tags)

    def _check_what_runs(self) -> None:
        if (self.script is None) == (self.command is None):
            found = "neither" if self.script is None else "both"
            raise UsageError(f"a run has a script or a command; found {found}", hint="script: train.py")
        if self.command is not None:
            if self.arguments:
                raise UsageError("'arguments' go with 'script'; write them into 'command'")
            check_size(self.command, "command")
        for index, argument in enumerate(self.arguments):
            check_argument(argument, index)

    def _check_where(self) -> None:
        if self.plain_node_count is not None:
            check_count(self.plain_node_count, "node_count")
            if self.distributed is not None and self.distributed.node_count != self.plain_node_count:
                raise UsageError(
                    f"node_count {self.plain_node_count} is not the {self.distributed.node_count} of the launcher"
                )
        there = self.compute_target.node_count
        if there is not None and self.node_count > there:
            raise UsageError(
                f"the run asks for {self.node_count} nodes, compute target '{self.compute_target.name}' has {there}"
            )

    @property
    def node_count(self) -> int:
        """The nodes that the run takes: the launcher's, else the plain count, else all simulated ones, else one."""
        if self.distributed is not None:
            return self.distributed.node_count
        if self.plain_node_count is not None:
            return self.plain_node_count
        target = self.compute_target
        return target.node_count or 1 if isinstance(target, LocalTarget) else 1

    @property
    def process_count(self) -> int:
        """The user processes of the run; without a launcher, one a node."""
        return self.node_count if self.distributed is None else self.distributed.process_count

    def to_record(self) -> dict[str, Any]:
        """The request as JSON values; `from_record` gives an equal request back. Warnings are not kept."""
        return {
            "experiment_name": self.experiment_name,
            "source_directory": self.source_directory,
            "script": self.script,
            "arguments": list(self.arguments),
            "command": self.command,
            "environment": self.environment.to_record(),
            "compute_target": self.compute_target.to_record(),
            "distributed": None if self.distributed is None else self.distributed.to_record(),
            "plain_node_count": self.plain_node_count,
            "docker": self.docker.to_record(),
            "max_run_duration_seconds": self.max_run_duration_seconds,
            "tags": dict(self.tags),
            "mlflow": None if self.mlflow is None else self.mlflow.to_record(),
            "data": self.data.to_record(),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> RunRequest:
        """The request that `to_record` described. Raises KeyError or TypeError for anything else."""
        return cls(
            **{
                **record,
                "arguments": tuple(record["arguments"]),
                "environment": EnvironmentSpec.from_record(record["environment"]),
                "compute_target": target_from_record(record["compute_target"]),
                "distributed": distributed_from_record(record["distributed"]),
                "docker": DockerSpec.from_record(record["docker"]),
                "tags": dict(record["tags"]),
                "mlflow": MirrorSpec.from_record(record.get("mlflow")),
                "data": DataSpec.from_record(record.get("data")),
            }
        )


def check_experiment_name(name: object) -> None:
    """Raises UsageError unless Azure ML v1 would take `name` for an experiment."""
    if not isinstance(name, str) or not is_experiment_name(name):
        raise UsageError(
            f"experiment_name {_short(name)} must be 1 to 255 letters, digits, '_' or '-', beginning with a "
            "letter or digit"
        )


def _check_duration(seconds: object) -> None:
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 1 <= seconds <= DURATION_LIMIT_S:
        raise UsageError(f"max_run_duration_seconds must be a whole number from 1, found {seconds!r}")


def _check_tags(tags: Mapping[Any, object]) -> None:
    for key, value in tags.items():
        if not isinstance(key, str) or not key or not isinstance(value, str):
            raise UsageError(f"a tag needs a key and a text; found {key!r}: {value!r}")


def _short(name: object) -> str:
    shown = repr(name)
    return shown if len(shown) <= 80 else shown[:80] + "..."
