"""AmlCompute: v1's clusters. There is no cloud here, so a cluster is a name for a pool:
simulated nodes on this machine, or the user's own machines that were attached under that name.
"""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from runner.sdk.compute.target import ComputeTarget, keep_file, read_spec, write_notes
from runner.sdk.exceptions import ComputeTargetException

if TYPE_CHECKING:
    from runner.sdk.workspace import Workspace

_logger = logging.getLogger(__name__)
_DEFAULT_MAX_NODES = 4  # v1's


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleSettings:
    """How many nodes v1 would start and keep."""

    minimum_node_count: int = 0
    maximum_node_count: int | None = None
    idle_seconds_before_scaledown: int = 1800

    def serialize(self) -> dict[str, Any]:
        """Under v1's keys."""
        idle = f"PT{self.idle_seconds_before_scaledown}S"
        return {
            "minNodeCount": self.minimum_node_count,
            "maxNodeCount": self.maximum_node_count,
            "nodeIdleTimeBeforeScaleDown": idle,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AmlComputeProvisioningConfiguration:
    """What a script asks of Azure; the name and the greatest number of nodes mean something here."""

    vm_size: str = ""
    vm_priority: str = "dedicated"
    min_nodes: int = 0
    max_nodes: int = _DEFAULT_MAX_NODES
    idle_seconds_before_scaledown: int = 1800
    tags: dict[str, str] = dataclasses.field(default_factory=dict)
    description: str | None = None

    def make(self, workspace: Workspace, name: str) -> None:
        """Keeps the pool under its name; machines that were attached under it before are taken as they are."""
        try:
            read_spec(workspace, name)
        except ComputeTargetException:
            size = f" (vm_size {self.vm_size})" if self.vm_size else ""
            _logger.warning(
                "AmlCompute %s%s: there is no cloud behind it. Its runs run on this machine, one simulated node for "
                "each that they ask for. To have them run on machines of your own, attach those under this name: "
                "runner compute attach %s FILE",
                name,
                size,
                name,
            )
            keep_file(workspace, name, f"# Made by AmlCompute for a script of Azure ML{size}.\ntype: local\n")
        write_notes(workspace, name, {**dataclasses.asdict(self), "created": _now()})


class AmlComputeStatus:
    """The state of a pool, as notebooks print it."""

    def __init__(self, compute: AmlCompute) -> None:
        self.allocation_state = "Steady"
        self.allocation_state_transition_time = compute._notes.get("created") or _now()
        self.creation_time = self.modified_time = self.allocation_state_transition_time
        self.current_node_count = self.target_node_count = compute.node_count
        self.idle_node_count = self.current_node_count
        self.provisioning_state = "Succeeded"
        self.provisioning_state_transition_time = None
        self.errors = None
        self.scale_settings = compute.scale_settings
        self.vm_size = compute.vm_size
        self.vm_priority = compute.vm_priority

    @property
    def node_state_counts(self) -> dict[str, int]:
        """How many nodes are in which state: all are free, since none is started before a run needs it."""
        busy = ("preparingNodeCount", "runningNodeCount", "unusableNodeCount", "leavingNodeCount", "preemptedNodeCount")
        return {"idleNodeCount": self.idle_node_count, **dict.fromkeys(busy, 0)}

    def serialize(self) -> dict[str, Any]:
        """Under v1's keys."""
        return {
            "currentNodeCount": self.current_node_count,
            "targetNodeCount": self.target_node_count,
            "nodeStateCounts": self.node_state_counts,
            "allocationState": self.allocation_state,
            "allocationStateTransitionTime": self.allocation_state_transition_time,
            "errors": self.errors,
            "creationTime": self.creation_time,
            "modifiedTime": self.modified_time,
            "provisioningState": self.provisioning_state,
            "provisioningStateTransitionTime": self.provisioning_state_transition_time,
            "scaleSettings": self.scale_settings.serialize(),
            "vmPriority": self.vm_priority,
            "vmSize": self.vm_size,
        }

    def __repr__(self) -> str:
        return str(self.serialize())


class AmlCompute(ComputeTarget):
    """A pool of nodes under the name that a script gave its cluster."""

    _compute_type = "AmlCompute"

    @classmethod
    def _fits(cls, spec: Any, notes: dict[str, Any]) -> bool:
        from runner.spec.compute import LocalTarget

        return bool(notes) or isinstance(spec, LocalTarget)

    @staticmethod
    def provisioning_configuration(
        vm_size: str = "",
        vm_priority: str = "dedicated",
        min_nodes: int = 0,
        max_nodes: int | None = None,
        idle_seconds_before_scaledown: int | None = None,
        admin_username: str | None = None,
        admin_user_password: str | None = None,
        admin_user_ssh_key: str | None = None,
        vnet_resourcegroup_name: str | None = None,
        vnet_name: str | None = None,
        subnet_name: str | None = None,
        tags: dict[str, str] | None = None,
        description: str | None = None,
        remote_login_port_public_access: str = "NotSpecified",
        **_others: Any,
    ) -> AmlComputeProvisioningConfiguration:
        """What to make: nothing but the name, the tags and the number of nodes has a meaning here."""
        return AmlComputeProvisioningConfiguration(
            vm_size=vm_size or "",
            vm_priority=vm_priority or "dedicated",
            min_nodes=min_nodes or 0,
            max_nodes=_DEFAULT_MAX_NODES if max_nodes is None else max_nodes,
            idle_seconds_before_scaledown=1800
            if idle_seconds_before_scaledown is None
            else idle_seconds_before_scaledown,
            tags=dict(tags or {}),
            description=description,
        )

    @staticmethod
    def supported_vmsizes(workspace: Workspace, location: str | None = None) -> list[dict[str, Any]]:
        """The one size that there is: this machine."""
        import os

        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
        return [
            {
                "name": "LOCAL",
                "vCPUs": os.cpu_count(),
                "gpus": 0,
                "memoryGB": round(memory, 1),
                "maxResourceVolumeMB": 0,
            }
        ]

    @property
    def vm_size(self) -> str:
        """The size that the script asked for."""
        return str(self._notes.get("vm_size") or "LOCAL").upper()

    @property
    def vm_priority(self) -> str:
        """The priority that the script asked for."""
        return str(self._notes.get("vm_priority") or "dedicated").capitalize()

    @property
    def node_count(self) -> int:
        """The machines of the pool; simulated nodes are as many as a run asks for, so none stands by."""
        return self._spec.node_count or 0

    @property
    def scale_settings(self) -> ScaleSettings:
        """How many nodes v1 would start and keep."""
        return ScaleSettings(
            minimum_node_count=int(self._notes.get("min_nodes") or 0),
            maximum_node_count=int(self._notes.get("max_nodes") or self.node_count or _DEFAULT_MAX_NODES),
            idle_seconds_before_scaledown=int(self._notes.get("idle_seconds_before_scaledown") or 1800),
        )

    def get_status(self) -> AmlComputeStatus:
        """The state of the pool; `serialize()` gives it as notebooks print it."""
        return AmlComputeStatus(self)

    @property
    def status(self) -> AmlComputeStatus:
        """As `get_status`."""
        return self.get_status()

    def list_nodes(self) -> Any:
        """The machines that stand behind the pool; none where its nodes are simulated."""
        nodes = self._spec.to_record().get("nodes") or ()
        return [
            {
                "nodeId": node["name"],
                "port": node.get("ssh_port") or 22,
                "publicIpAddress": node["address"],
                "privateIpAddress": node["address"],
                "nodeState": "idle",
            }
            for node in nodes
        ]

    def update(
        self,
        min_nodes: int | None = None,
        max_nodes: int | None = None,
        idle_seconds_before_scaledown: int | None = None,
    ) -> None:
        """Remembers other scale settings; nothing is started or stopped."""
        given = {
            "min_nodes": min_nodes,
            "max_nodes": max_nodes,
            "idle_seconds_before_scaledown": idle_seconds_before_scaledown,
        }
        self._notes.update({key: value for key, value in given.items() if value is not None})
        write_notes(self.workspace, self.name, self._notes)

    def delete(self) -> None:
        """Forgets the pool; machines that stand behind it are only detached."""
        self.detach()


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")
