"""One process a slot, with the variables that torch.distributed's `env://` reads.

With `process_count` left out there is one process a node, whose command may start torchrun with `$NODE_RANK`,
`$MASTER_ADDR` and `$MASTER_PORT` (azureml-v1.md 1.5).
"""

from __future__ import annotations

from collections.abc import Sequence

from runner.launchers.launch import ReadyNode, expands_variables, job_argv, network_variables
from runner.launchers.placement import place
from runner.spec.request import RunRequest
from sidecar.contract import settings
from sidecar.contract.orders import ProcessSpec


def processes(request: RunRequest, nodes: Sequence[ReadyNode]) -> list[list[ProcessSpec]]:
    """The processes to start on each node, in the order of `nodes`; the first node's first port is the master's."""
    placements = place(request)
    per_node = len(placements) // len(nodes)
    started: list[list[ProcessSpec]] = [[] for _ in nodes]
    for rank, placement in enumerate(placements):
        environ = {
            **network_variables(nodes[placement.node_rank]),
            settings.MASTER_ADDR: nodes[0].address,
            settings.MASTER_PORT: str(nodes[0].ports[0]),
            settings.RANK: str(rank),
            settings.LOCAL_RANK: str(placement.local_rank),
            settings.LOCAL_WORLD_SIZE: str(per_node),
            settings.WORLD_SIZE: str(len(placements)),
            settings.NODE_RANK: str(placement.node_rank),
            settings.AZ_BATCH_MASTER_NODE: f"{nodes[0].address}:{nodes[0].ports[0]}",
        }
        started[placement.node_rank].append(
            ProcessSpec(
                name=placement.name,
                argv=job_argv(request, nodes[placement.node_rank]),
                log=placement.log,
                env=environ,
                number=placement.index,
                expand=expands_variables(request),
            )
        )
    return started
