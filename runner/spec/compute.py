"""Where a job runs: this machine with simulated nodes, or machines reached over SSH."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from runner.errors import UsageError
from runner.spec.distributed import check_count
from sidecar.contract.layout import is_node_id

LOCAL = "local"
STRICT = "strict"
ACCEPT_NEW = "accept-new"
HOST_KEY_POLICIES = (STRICT, ACCEPT_NEW)
DEFAULT_WORK_DIRECTORY = "~/.runner-node"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTarget:
    """This machine. `node_count` None: as many simulated nodes as the job asks for."""

    name: str = LOCAL
    node_count: int | None = None

    def __post_init__(self) -> None:
        if self.node_count is not None:
            check_count(self.node_count, "node_count")

    def to_record(self) -> dict[str, Any]:
        """The target as JSON values."""
        return {"type": LOCAL, "name": self.name, "node_count": self.node_count}


@dataclass(frozen=True, slots=True, kw_only=True)
class SshNode:
    """One machine: where it answers, and its node id. `ssh_port` None: the target's."""

    address: str
    name: str
    ssh_port: int | None = None

    def __post_init__(self) -> None:
        if not self.address or self.address.startswith("-") or any(c.isspace() or c == "\0" for c in self.address):
            raise UsageError(f"{self.address!r} cannot be an address")
        if not is_node_id(self.name):
            raise UsageError(
                f"node name {self.name!r} cannot stand in the name of a log",
                hint="give the node a name of letters, digits, '.', '_', '-': {address: ..., name: gpu01}",
            )

    def to_record(self) -> dict[str, Any]:
        """The node as JSON values."""
        return {"address": self.address, "name": self.name, "ssh_port": self.ssh_port}


@dataclass(frozen=True, slots=True, kw_only=True)
class SshTarget:
    """Machines reached over SSH. None means: as `~/.ssh/config`, the agent, and the defaults of SSH say."""

    name: str = "ssh"
    nodes: tuple[SshNode, ...]
    username: str | None = None
    private_key_file: str | None = None
    ssh_port: int | None = None
    host_key_policy: str = STRICT
    work_directory: str = DEFAULT_WORK_DIRECTORY

    def __post_init__(self) -> None:
        if not self.nodes:
            raise UsageError("a target of type ssh needs at least one node", hint="nodes: [gpu01]")
        double = first_double(self.nodes)
        if double is not None:
            raise UsageError(double[1])

    @property
    def node_count(self) -> int:
        """The machines of the target."""
        return len(self.nodes)

    def to_record(self) -> dict[str, Any]:
        """The target as JSON values."""
        return {
            "type": "ssh",
            "name": self.name,
            "nodes": [node.to_record() for node in self.nodes],
            "username": self.username,
            "private_key_file": self.private_key_file,
            "ssh_port": self.ssh_port,
            "host_key_policy": self.host_key_policy,
            "work_directory": self.work_directory,
        }


ComputeTarget: TypeAlias = LocalTarget | SshTarget


def first_double(nodes: Sequence[SshNode]) -> tuple[int, str] | None:
    """The index of the first node whose name, or address and port, an earlier one has, and what to say about it."""
    names: set[str] = set()
    places: set[tuple[str, int | None]] = set()
    for index, node in enumerate(nodes):
        if node.name in names:
            return index, f"two nodes are called '{node.name}'"
        if (node.address, node.ssh_port) in places:
            return index, f"two nodes have the address {node.address}"
        names.add(node.name)
        places.add((node.address, node.ssh_port))
    return None


def target_from_record(record: Mapping[str, Any]) -> ComputeTarget:
    """The inverse of `to_record`."""
    fields = {key: value for key, value in record.items() if key != "type"}
    if record["type"] == LOCAL:
        return LocalTarget(**fields)
    return SshTarget(**{**fields, "nodes": tuple(SshNode(**node) for node in record["nodes"])})
