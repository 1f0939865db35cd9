"""Workers and parameter servers, each told of all others through TF_CONFIG (azureml-v1.md 1.5)."""

from __future__ import annotations

import json
from collections.abc import Sequence

from runner.launchers.launch import ReadyNode, expands_variables, job_argv
from runner.launchers.placement import Placement, place
from runner.spec.request import RunRequest
from sidecar.contract import settings
from sidecar.contract.orders import ProcessSpec


def processes(request: RunRequest, nodes: Sequence[ReadyNode]) -> list[list[ProcessSpec]]:
    """The processes to start on each node, in the order of `nodes`; every task listens on a port of its node."""
    placements = place(request)
    cluster: dict[str, list[str]] = {}
    for placement in placements:
        node = nodes[placement.node_rank]
        cluster.setdefault(_kind(placement), []).append(f"{node.address}:{node.ports[placement.local_rank]}")
    started: list[list[ProcessSpec]] = [[] for _ in nodes]
    for placement in placements:
        task = {"type": _kind(placement), "index": int(placement.name.rsplit("_", 1)[1])}
        config = json.dumps({"cluster": cluster, "task": task, "environment": "cloud"})
        started[placement.node_rank].append(
            ProcessSpec(
                name=placement.name,
                argv=job_argv(request, nodes[placement.node_rank]),
                log=placement.log,
                env={settings.TF_CONFIG: config},
                number=placement.index,
                expand=expands_variables(request),
            )
        )
    return started


def _kind(placement: Placement) -> str:
    return placement.name.rsplit("_", 1)[0]
