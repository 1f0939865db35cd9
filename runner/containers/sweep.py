"""Removes what crashes left on an engine: containers and networks of this workspace's runs that are over, steps of
builds that broke off, names that images had only while they were packed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from runner.containers import build_steps, labels, loopback_registry
from runner.containers.engine import explained
from runner.history.run_record import read_record
from sidecar.contract.layout import WorkspaceLayout
from sidecar.contract.stores import EnvironmentsLayout

if TYPE_CHECKING:
    from docker import APIClient


def sweep(client: APIClient, address: str, workspace: WorkspaceLayout) -> list[str]:
    """Removes them; returns their names. Raises MachineError where the engine does not answer.

    A run without a controller that has not ended keeps its containers: `runner attach` goes on with it.
    """
    from docker.errors import APIError

    filters = {"label": f"{labels.WORKSPACE}={workspace.root}"}
    removed = []
    with explained("what crashes left on the engine cannot be removed", address):
        for found in client.containers(all=True, filters=filters):
            if is_over(workspace, str(found["Labels"].get(labels.RUN, ""))):
                try:
                    client.remove_container(found["Id"], force=True, v=True)
                except APIError:
                    continue  # Somebody else removes it at this moment.
                removed.append(str(found["Names"][0]).lstrip("/"))
        for network in client.networks(filters=filters):
            if is_over(workspace, str((network.get("Labels") or {}).get(labels.RUN, ""))):
                try:
                    client.remove_network(network["Id"])
                except APIError:
                    continue  # Still in use by a container that somebody else made.
                removed.append(str(network["Name"]))
        removed += build_steps.sweep(client, address, EnvironmentsLayout(workspace.environments))
        removed += _remove_names(client)
    return removed


def _remove_names(client: APIClient) -> Iterator[str]:
    """Takes away the names that images had for a push whose controller is no more."""
    from docker.errors import APIError

    for image in client.images(filters={"reference": loopback_registry.PUSHED_NAMES}):
        for name in filter(loopback_registry.is_left_behind, image.get("RepoTags") or ()):
            try:
                client.remove_image(name, noprune=True)
            except APIError:
                continue  # Somebody else removes it at this moment.
            yield name


def is_over(workspace: WorkspaceLayout, run_id: str) -> bool:
    """Whether the run has ended, or is not there any more."""
    try:
        return read_record(workspace.run(run_id)).status.is_terminal
    except Exception:  # A folder that was removed, or a record that cannot be read: nobody can go on with that run.
        return not workspace.run(run_id).record.exists()


def sweep_quietly(client: APIClient, address: str, workspace: WorkspaceLayout, says: Callable[[str], None]) -> None:
    """The same beside other work, whose own next question to the engine tells what is wrong with it."""
    from runner.errors import MachineError

    try:
        removed = sweep(client, address, workspace)
    except MachineError:
        return
    if removed:
        says(f"Removed what crashes had left: {', '.join(removed)}")
