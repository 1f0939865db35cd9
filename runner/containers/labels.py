"""What our containers, networks and images are called and labelled: the wire contract with the engine."""

from __future__ import annotations

from collections.abc import Mapping

from sidecar.contract.container_labels import ENVIRONMENT as ENVIRONMENT
from sidecar.contract.container_labels import KEY as KEY
from sidecar.contract.container_labels import NODE as NODE
from sidecar.contract.container_labels import ROLE as ROLE
from sidecar.contract.container_labels import RUN as RUN
from sidecar.contract.container_labels import WORKSPACE as WORKSPACE
from sidecar.contract.container_labels import Role as Role

# Images that are not pulled but made here.
REPOSITORY = "scriptrun/environment"
_HOST_NAME_LIMIT = 63


def container_name(run_id: str, node_id: str, role: Role) -> str:
    """`digits_1763678112_1a2b3c4d-local-0`, and the same with `-sidecar` or `-build`."""
    return f"{run_id}-{node_id}" if role is Role.JOB else f"{run_id}-{node_id}-{role.value}"


def network_name(run_id: str) -> str:
    """The network on which the nodes of one run find each other."""
    return run_id


def image_name(key: str) -> str:
    """The name under which the image with this key is found again."""
    return f"{REPOSITORY}:{key}"


def host_name(node_id: str) -> str:
    """The node's id as the name of a host: letters, digits and dashes."""
    return "".join(letter if letter.isalnum() else "-" for letter in node_id)[:_HOST_NAME_LIMIT].strip("-")


def labels(workspace: str, run_id: str, node_id: str | None = None, role: Role | None = None) -> dict[str, str]:
    """The labels of something that belongs to a run."""
    found = {RUN: run_id, WORKSPACE: workspace}
    if node_id is not None:
        found[NODE] = node_id
    if role is not None:
        found[ROLE] = role.value
    return found


def is_ours(found: Mapping[str, str] | None, wanted: Mapping[str, str]) -> bool:
    """Whether something with the labels `found` is what `wanted` describes."""
    return all((found or {}).get(name) == value for name, value in wanted.items())
