"""One MPI rank on a node: asks its MPI which rank it is, then runs the job's process in a wrapper like any other.

Started by the MPI's own helper (Hydra's proxy, Open MPI's daemon), whose environment the supervisor made; what the
ranks run stands in the order that started the helper.
"""

from __future__ import annotations

import os
import sys
from typing import Mapping, Optional

from sidecar import job_environment, kernel, own_address, wrapper
from sidecar.contract import publish, settings
from sidecar.contract.layout import AZUREML_LOGS, MAIN, NodeLayout, RunLayout, driver_log_name
from sidecar.contract.orders import MPI_HELPERS_ORDER, ProcessSpec, node_plan


def read_rank(environ: Mapping[str, str]) -> Optional[int]:
    """The rank that the MPI gave this process; None where no MPI did."""
    for name in settings.MPI_RANK:
        if environ.get(name, "").isdigit():
            return int(environ[name])
    return None


def main(node_root: str) -> int:
    """Runs this rank to its end; returns what the MPI shall see as its exit code."""
    layout = NodeLayout.at(node_root)
    rank = read_rank(os.environ)
    plan_record = publish.read_record(layout.plan)
    order = publish.read_record(layout.order(MPI_HELPERS_ORDER))
    if rank is None or plan_record is None or order is None:
        sys.stderr.write(f"no rank in the environment ({', '.join(settings.MPI_RANK)}), or no order in {layout.root}\n")
        return 1
    plan = node_plan(plan_record)
    ranks = order["ranks"]
    index = rank if ranks["count"] > 1 else None
    spec = ProcessSpec(
        name=f"rank_{rank}" if index is not None else MAIN,
        argv=ranks["argv"],
        log=f"{AZUREML_LOGS}/{driver_log_name(index)}",
        env=ranks["env"],
        number=index,
        expand=ranks["expand"],
    )
    kernel.rename_process(f"python -m sidecar process {spec.name} {plan.run_id}")
    environ = job_environment.compose(os.environ, plan, spec, node=layout, bin_folder=ranks["bin"])
    place = wrapper.Place(layout, RunLayout.at(plan.run_root), own_address.read(plan))
    return wrapper.run(spec, environ, place)
