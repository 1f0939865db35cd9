"""Four MPI ranks on two simulated nodes, against the bare launcher of the same MPI."""

from __future__ import annotations

import os

from tests.benchmarks.report import Row, Section
from tests.benchmarks.stage import Stage
from tests.benchmarks.timing import differences, interleave

NAME = "mpi"

_LIMIT_S = 1.0
_SCRIPT = """
from mpi4py import MPI

world = MPI.COMM_WORLD
print(f"rank {world.Get_rank()} of {world.Get_size()}: {world.allreduce(world.Get_rank())}")
"""
_OPEN_MPI = ("--oversubscribe", *(("--allow-run-as-root",) if os.getuid() == 0 else ()))
# Without these two Open MPI looks for fabrics that one machine does not need, and takes five times as long.
_PLAIN_TRANSPORTS = ("--mca", "pml", "ob1", "--mca", "btl", "self,sm")


def measure(stage: Stage) -> Section:
    """MPICH and Open MPI, each against itself."""
    section = Section(name=NAME, title="4 ranks: import mpi4py, allreduce, print; runner with 2 nodes x 2")
    _measure_one(stage, section, peer_name="mpich", bare={"mpiexec -n 4": ()})
    bare = {"mpiexec -n 4": _OPEN_MPI, "mpiexec -n 4, pml ob1": (*_OPEN_MPI, *_PLAIN_TRANSPORTS)}
    _measure_one(stage, section, peer_name="openmpi", bare=bare)
    section.notes.append("runner's simulated nodes talk over loopback TCP, bare ranks through shared memory")
    return section


def _measure_one(stage: Stage, section: Section, *, peer_name: str, bare: dict[str, tuple[str, ...]]) -> None:
    peer = stage.peer(peer_name, section)
    if peer.problem:
        return
    script = stage.write(peer_name, "reduce.py", _SCRIPT)
    config = stage.config(
        peer_name,
        script.name,
        python=peer.python,
        distributed_job_config={"type": "Mpi", "process_count_per_node": 2, "node_count": 2},
    )
    environ = stage.environ(python=peer.python)
    commands = [
        stage.command(
            f"{peer_name}: {label}",
            *(peer.program("mpiexec"), *options, "-n", "4", peer.python, str(script)),
            environ=environ,
        )
        for label, options in bare.items()
    ]
    ours = stage.runner(f"{peer_name}: runner submit --show-output", "submit", str(config), "--show-output")
    samples = interleave([*commands, ours], runs=stage.count(7))
    for command in (*commands, ours):
        label = command.label
        section.add(Row(what=label, values=samples.wall_s(label), cpu_s=samples.cpu_s(label)))
    for index, command in enumerate(commands):
        # The limit is against the launcher as it comes; a tuned one is shown beside it.
        extra = differences(samples.wall_s(ours.label), samples.wall_s(command.label))
        limit = _LIMIT_S if index == 0 else None
        section.add(Row(what=f"runner minus {command.label}, pair by pair", values=extra, limit=limit))
