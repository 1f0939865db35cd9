"""MPI in containers: the MPI's own launcher inside, nodes that find each other on a network of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docker.stage import DockerStage
from tests.docker.wheels import mpi_wheels

pytestmark = [pytest.mark.docker, pytest.mark.network, pytest.mark.timeout(600)]

_SCRIPT = """
import os, socket, sys
from mpi4py import MPI
world = MPI.COMM_WORLD
print(world.rank, world.size, world.allreduce(world.rank), socket.gethostname(), os.environ["AZ_BATCH_NODE_ID"])
world.barrier()
if "fail" in sys.argv and world.rank == 2:
    raise ValueError("bad batch")
world.barrier()
"""


@pytest.fixture(scope="module")
def wheels() -> Path:
    """A folder with mpi4py and MPICH for the Python of the image; fetched once on this machine."""
    return mpi_wheels()


def test_two_nodes_of_two_ranks(stage: DockerStage, wheels: Path) -> None:
    """Four ranks in two containers meet; then the rank that fails first is named, and nothing stays."""
    stage.environ.update(PIP_FIND_LINKS=str(wheels), PIP_NO_INDEX="1")
    keys = {
        "environment": {"python": {"pip_requirements": ["mpi4py", "mpich"]}},
        "distributed_job_config": {"type": "Mpi", "process_count_per_node": 2, "node_count": 2},
    }
    record = stage.complete(stage.config(_SCRIPT, **keys))
    run = stage.workspace.run(record["run_id"])
    logs = [run.driver_log(rank).read_text() for rank in range(4)]
    assert logs == [f"{rank} 4 6 local-{rank // 2} local-{rank // 2}\n" for rank in range(4)]
    assert '"127.' not in run.process_info.read_text()
    failed = stage.run_to_end(stage.config(_SCRIPT, arguments=["fail"], **keys))
    assert failed["exit_code"] == 100, stage.explain(failed)
    assert failed["environment"]["cache_hit"] is True
    assert "rank_2 on local-1 failed first: ValueError: bad batch" in failed["failure"]["summary"]
