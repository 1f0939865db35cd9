"""Which process runs on which node, and what it is called: the same answer for the plan, the logs and the viewer."""

from __future__ import annotations

from dataclasses import dataclass

from runner.spec.request import MpiSpec, PyTorchSpec, RunRequest, TensorflowSpec
from sidecar.contract.layout import AZUREML_LOGS, MAIN, driver_log_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """One user process. `index` is its number among all processes, None for the only one of a run."""

    name: str
    index: int | None
    node_rank: int
    local_rank: int

    @property
    def log(self) -> str:
        """The process's log, relative to the run folder."""
        return f"{AZUREML_LOGS}/{driver_log_name(self.index)}"


def place(request: RunRequest) -> tuple[Placement, ...]:
    """Every user process of the run, in the order of their numbers."""
    distributed = request.distributed
    if distributed is None:
        # Without a launcher, several nodes run the script once each.
        return _ranks(request.node_count, 1)
    if isinstance(distributed, MpiSpec):
        return _ranks(distributed.node_count, distributed.process_count_per_node)
    if isinstance(distributed, PyTorchSpec):
        return _ranks(distributed.node_count, distributed.process_count // distributed.node_count)
    return _tasks(distributed)


def _ranks(node_count: int, per_node: int) -> tuple[Placement, ...]:
    if node_count * per_node == 1:
        return (Placement(name=MAIN, index=None, node_rank=0, local_rank=0),)
    return tuple(
        Placement(name=f"rank_{rank}", index=rank, node_rank=rank // per_node, local_rank=rank % per_node)
        for rank in range(node_count * per_node)
    )


def _tasks(spec: TensorflowSpec) -> tuple[Placement, ...]:
    """Worker i runs on node i; parameter servers share the workers' nodes, in turn."""
    total = spec.worker_count + spec.parameter_server_count
    used = [0] * spec.worker_count
    placements = []
    for number in range(total):
        is_worker = number < spec.worker_count
        task = number if is_worker else number - spec.worker_count
        node_rank = task % spec.worker_count
        placements.append(
            Placement(
                name=f"worker_{task}" if is_worker else f"ps_{task}",
                index=number if total > 1 else None,
                node_rank=node_rank,
                local_rank=used[node_rank],
            )
        )
        used[node_rank] += 1
    return tuple(placements)
