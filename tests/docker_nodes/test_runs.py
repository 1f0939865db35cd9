"""Jobs in containers on hosts that are reached by ssh, end to end against real engines."""

from __future__ import annotations

import json
import random

import pytest

from tests.docker.wheels import mpi_wheels
from tests.docker_nodes.stage import NodesStage

pytestmark = [pytest.mark.docker, pytest.mark.lab, pytest.mark.timeout(600)]

_HELLO = """
import getpass, os, random, sys
sys.stderr.write(f"{sys.version_info[:2]} {os.getuid()} {getpass.getuser()} {os.getpid() < 100}\\n")
os.write(1, random.Random(1).randbytes(3_000_000))
open("outputs/found.txt", "w").write(os.environ["HOME"])
"""


def test_one_process(stage: NodesStage) -> None:
    """An image that no registry has reaches the host; the log comes back byte by byte; `clean` removes the image."""
    stage.clean()
    stage.forget_images()
    record = stage.complete(stage.config(_HELLO))
    run = stage.layout(record)
    user = stage.lab[0].lab_user
    head = f"(3, 9) {user.uid} lab True\n".encode()
    assert run.driver_log(None).read_bytes() == head + random.Random(1).randbytes(3_000_000)
    assert (run.outputs / "found.txt").read_text().endswith("/home")
    assert "Shipped the image" in stage.said(record)
    assert "sidecar container" in run.start_cms("lab1").read_text()
    assert json.loads(run.process_info.read_text())["node_id"] == "lab1"
    assert stage.clean()[0]["removed"]["images"] == 1


_SUM = """
import os, socket
from mpi4py import MPI
world = MPI.COMM_WORLD
print(world.rank, world.size, world.allreduce(world.rank), os.environ["AZ_BATCH_NODE_ID"])
"""


@pytest.mark.network
def test_mpi_on_two_hosts(stage: NodesStage) -> None:
    """Four ranks in containers of two hosts, neither of which has a key for the other, add up their ranks."""
    stage.environ.update(PIP_FIND_LINKS=str(mpi_wheels()), PIP_NO_INDEX="1")
    config = stage.config(
        _SUM,
        environment_keys={"python": {"pip_requirements": ["mpi4py", "mpich"]}},
        distributed_job_config={"type": "Mpi", "process_count_per_node": 2, "node_count": 2},
    )
    record = stage.complete(config)
    run = stage.layout(record)
    logs = [run.driver_log(rank).read_text() for rank in range(4)]
    assert logs == [f"{rank} 4 6 lab{rank // 2 + 1}\n" for rank in range(4)]
    assert run.image_build_log.exists()


_MEET = """
import os, socket, time
rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
there = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
if rank == 0:
    with socket.create_server(("", there[1])) as door:
        met = sorted(door.accept()[0].makefile().readline().strip() for _ in range(size - 1))
else:
    for _ in range(600):  # Until rank 0 listens.
        try: sock = socket.create_connection(there, timeout=5); break
        except OSError: time.sleep(0.1)
    sock.sendall(f"{rank} of {size} at {os.environ['NODE_RANK']}.{os.environ['LOCAL_RANK']}\\n".encode())
    met = []
print(met)
"""


def test_workers_on_two_hosts_meet(stage: NodesStage) -> None:
    """PyTorch's variables in containers of two hosts lead every worker to the first one."""
    config = stage.config(_MEET, distributed_job_config={"type": "PyTorch", "process_count": 4, "node_count": 2})
    run = stage.layout(stage.complete(config))
    assert run.driver_log(0).read_text() == "['1 of 4 at 0.1', '2 of 4 at 1.0', '3 of 4 at 1.1']\n"
