"""Whether a node's containers live, known without their engine: each holds a lock for as long as it does.

unborn --takes its lock--> alive --lock free--> dead; the one who looks after it writes its end
"""

from __future__ import annotations

from pathlib import Path

from sidecar.contract import identity, lock, publish
from sidecar.contract.container_labels import Role
from sidecar.contract.layout import NodeLayout


def lock_of(node: NodeLayout, role: str) -> Path:
    """Held as long as the container of that role lives."""
    return node.keeper_lock if role == Role.JOB else node.attendant_lock


def end_of(node: NodeLayout, role: str) -> Path:
    """Exists once that container is no more, and says why."""
    return node.container_end if role == Role.JOB else node.attendant_end


def was_born(node: NodeLayout, role: str) -> bool:
    """Whether the container has ever come up."""
    try:
        return publish.read_record(lock_of(node, role)) is not None
    except ValueError:
        return False


def is_alive(node: NodeLayout, role: str) -> bool:
    """Whether the container lives; one that was never born does not."""
    return was_born(node, role) and lock.is_held(lock_of(node, role))


def was_rebooted(node: NodeLayout, role: str) -> bool:
    """Whether the machine went down after the container had come up, and took it along."""
    try:
        holder = identity.identity_from(publish.read_record(lock_of(node, role)))
    except ValueError:
        return False
    return holder is not None and holder.boot_id != identity.read_boot_id()
