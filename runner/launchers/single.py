"""One process a node, with nothing between them."""

from __future__ import annotations

from collections.abc import Sequence

from runner.launchers.launch import ReadyNode, expands_variables, job_argv
from runner.launchers.placement import place
from runner.spec.request import RunRequest
from sidecar.contract.orders import ProcessSpec


def processes(request: RunRequest, nodes: Sequence[ReadyNode]) -> list[list[ProcessSpec]]:
    """The processes to start on each node, in the order of `nodes`."""
    started: list[list[ProcessSpec]] = [[] for _ in nodes]
    for placement in place(request):
        started[placement.node_rank].append(
            ProcessSpec(
                name=placement.name,
                argv=job_argv(request, nodes[placement.node_rank]),
                log=placement.log,
                env={},
                number=placement.index,
                expand=expands_variables(request),
            )
        )
    return started
