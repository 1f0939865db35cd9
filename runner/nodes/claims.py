"""Decides which node's file has a path of the run folder: the first keeps it, another's goes into a folder of its own.

| path on the node | the claimant's | another node's |
|---|---|---|
| logs/PATH, outputs/PATH, artifacts/PATH | same path | logs/<node_id>/PATH, outputs/<node_id>/PATH, ... |
| everything else, such as 20_ | same path | logs/azureml/sidecar/<node_id>/NAME |

Where that is taken as well, by a file or as a folder, <node_id>.1, <node_id>.2 and so on stand for <node_id>.

70_mpi_log and what every node writes into logs/azureml/ can be claimed by the run's first node only: the MPI launcher
runs there.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator

from sidecar.contract import publish
from sidecar.contract.layout import ARTIFACTS, CHILDREN, OUTPUTS, SYSTEM_LOGS, USER_LOGS, RunLayout


class Claims:
    """The claims of one run; they outlive a controller. Safe from any thread."""

    def __init__(self, run: RunLayout, first_node: str) -> None:
        self._path = run.claims
        self._first_node = first_node
        self._guard = threading.Lock()
        # Whose file a path of the run folder is: the node, and the path that the file has there.
        self._owners: dict[str, tuple[str, str]] = {}
        self._folders = set(_parents(str(RunLayout.at("").sidecar_logs(first_node))))
        for record in publish.read_records(self._path):
            path = str(record["path"])
            self._note(path, str(record["node_id"]), str(record.get("source", path)))

    def destination(self, path: str, node_id: str) -> str:
        """Where the file `path` of `node_id` goes, relative to the run folder; claims it if nobody has."""
        with self._guard:
            for place in self._places(path, node_id):
                if self._owners.get(place) == (node_id, path):
                    return place
                if self._is_free(place):
                    publish.append_record(self._path, {"path": place, "node_id": node_id, "source": path})
                    self._note(place, node_id, path)
                    return place
        raise AssertionError("there is always another place")

    def _places(self, path: str, node_id: str) -> Iterator[str]:
        """Where the file may go, the best first."""
        if node_id == self._first_node or not _is_the_first_nodes(path):
            yield path
        yield _aside(path, node_id)
        for number in itertools.count(1):
            yield _aside(path, f"{node_id}.{number}")

    def _is_free(self, place: str) -> bool:
        """Whether no file has the place, none lies below it, and none stands where it needs a folder."""
        is_taken = place in self._owners or place in self._folders
        return not is_taken and not any(parent in self._owners for parent in _parents(place))

    def _note(self, place: str, node_id: str, path: str) -> None:
        self._owners[place] = (node_id, path)
        self._folders.update(_parents(place))


def _parents(path: str) -> Iterator[str]:
    """The folders on the way to `path`, the last first."""
    while path := os.path.dirname(path):
        yield path


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
