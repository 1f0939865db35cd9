"""Decides which node's file has a path of the run folder: the first keeps it, another's goes into a folder of its own.

| path on the node | the claimant's | another node's |
|---|---|---|
| logs/PATH, outputs/PATH, artifacts/PATH | same path | logs/<node_id>/PATH, outputs/<node_id>/PATH, ... |
| everything else, such as 20_ | same path | logs/azureml/sidecar/<node_id>/NAME |

70_mpi_log and what every node writes into logs/azureml/ can be claimed by the run's first node only: the MPI launcher
runs there.
"""

from __future__ import annotations

import threading

from sidecar.contract import publish
from sidecar.contract.layout import ARTIFACTS, CHILDREN, OUTPUTS, SYSTEM_LOGS, USER_LOGS, RunLayout


class Claims:
    """The claims of one run; they outlive a controller. Safe from any thread."""

    def __init__(self, run: RunLayout, first_node: str) -> None:
        self._path = run.claims
        self._first_node = first_node
        self._guard = threading.Lock()
        self._owners: dict[str, str] = {
            str(record["path"]): str(record["node_id"]) for record in publish.read_records(self._path)
        }

    def destination(self, path: str, node_id: str) -> str:
        """Where the file `path` of `node_id` goes, relative to the run folder; claims the path if nobody has."""
        if node_id != self._first_node and _is_the_first_nodes(path):
            return _aside(path, node_id)
        with self._guard:
            owner = self._owners.get(path)
            if owner is None:
                publish.append_record(self._path, {"path": path, "node_id": node_id})
                self._owners[path] = owner = node_id
        return path if owner == node_id else _aside(path, node_id)


def _is_the_first_nodes(path: str) -> bool:
    here = RunLayout.at("")
    return path in (str(here.mpi_log), str(here.job_prep_system_log), str(here.job_release_system_log))


def _aside(path: str, node_id: str) -> str:
    first, _, rest = path.partition("/")
    if first == CHILDREN:
        _, child_id, folder, rest = path.split("/", 3)
        return f"{first}/{child_id}/{folder}/{node_id}/{rest}"
    if first in (USER_LOGS, OUTPUTS, ARTIFACTS) and not path.startswith(f"{SYSTEM_LOGS}/"):
        return f"{first}/{node_id}/{rest}"
    return str(RunLayout.at("").sidecar_logs(node_id) / path.rpartition("/")[2])
