"""Ranks and MPI launchers that die: who died first, and of what, is told; nobody survives (F5, F6)."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from runner.spec.request import MpiSpec
from sidecar.contract import identity
from tests.faults.invariants import checked
from tests.faults.lab import Lab, Victim, send, wait_until

_DEATHS = {
    "SIGKILL": "os.kill(os.getpid(), signal.SIGKILL)",
    "SIGSEGV": "ctypes.string_at(0)",
    "SIGABRT": "os.abort()",
}
# Every rank says so and hangs, rank 1 dies once all are there; ranks that ignore TERM hang longer.
_RANKS = """
import ctypes, os, signal, sys, time
from said import say
rank = int(os.environ["RANK"])
say(b"rank %d is here\\n" % rank)
if rank == 1:
    while len([name for name in os.listdir({folder!r}) if name.startswith("here-")]) < 2: time.sleep(0.01)
    say(b"last words\\n")
    {death}
if rank == 2:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
open({folder!r} + "/here-%d" % rank, "w")
time.sleep(600)
"""
_MPI_RANKS = """
from mpi4py import MPI
import time
from said import say
say(b"rank %d of %d\\n" % (MPI.COMM_WORLD.rank, MPI.COMM_WORLD.size))
MPI.COMM_WORLD.Barrier()
say(b"all here\\n")
time.sleep(600)
"""
# From the first death to the last process gone; the catalogue's ten seconds.
_LIMIT_S = 10.0


def _first(victim: Victim) -> dict[str, Any]:
    failure = victim.record.failure
    assert failure is not None
    first: dict[str, Any] = failure["first"]
    return first


@pytest.mark.parametrize("name", _DEATHS)
def test_a_rank_that_dies_is_named(lab: Lab, name: str) -> None:
    """Rank, node, signal and last lines of the first; the others, on either node, were only stopped because of it."""
    source = _RANKS.format(folder=str(lab.folder), death=_DEATHS[name])
    victim = lab.submit(source, processes=3, nodes=3, grace_s=1.0)
    victim.wait_log(b"last words", 1)
    victim.wait_end(limit_s=_LIMIT_S + 5)
    record = checked(victim, "Failed", started=3)
    first = _first(victim)
    assert (first["process_name"], first["node_id"]) == ("rank_1", "local-1")
    assert (first["kind"], first["signal"], first["exit_code"]) == ("signal", name, None)
    assert first["last_lines"] == ["rank 1 is here", "last words"]
    assert record.failure is not None
    assert [other["outcome"] for other in record.failure["others"]] == ["stopped", "stopped"]


def test_a_rank_killed_from_outside_is_named(lab: Lab, chance: Any) -> None:
    """`kill -9` by a person or by the kernel is told like any other death."""
    victim = lab.submit(_RANKS.format(folder="/", death="time.sleep(600)"), processes=2)
    rank = chance.choice(["rank_0", "rank_1"])
    os.kill(victim.wait_started("rank_0", "rank_1")[rank]["pid"], signal.SIGKILL)
    victim.wait_end(limit_s=_LIMIT_S)
    checked(victim, "Failed", started=2)
    assert (_first(victim)["process_name"], _first(victim)["signal"]) == (rank, "SIGKILL")


@pytest.mark.mpi
@pytest.mark.parametrize("killed", ["mpi_launcher", "mpi_proxy_0", "mpi_proxy_1"])
def test_nobody_survives_a_killed_mpi(lab: Lab, killed: str) -> None:
    """`kill -9` of mpiexec or of a node's proxy: every rank is gone within ten seconds, and the cause is named."""
    victim = lab.submit(_MPI_RANKS, distributed=MpiSpec(process_count_per_node=2, node_count=2), grace_s=1.0)
    for index in range(4):
        victim.wait_log(b"all here", index)
    os.kill(victim.wait_started(killed)[killed]["pid"], signal.SIGKILL)
    ranks = [identity.identify(record["pid"]) for record in victim.started().values()]
    wait_until(
        lambda: not any(rank is not None and identity.is_alive(rank) for rank in ranks),
        limit_s=_LIMIT_S,
        what="the end of every rank",
    )
    victim.wait_end(limit_s=_LIMIT_S)
    checked(victim, "Failed", started=4)
    assert (_first(victim)["process_name"], _first(victim)["signal"]) == (killed, "SIGKILL")


@pytest.mark.mpi
def test_an_mpi_run_survives_controller_supervisor_and_agents(lab: Lab, chance: Any) -> None:
    """The runner's own processes may die under an MPI run as under any other."""
    source = _MPI_RANKS.replace("time.sleep(600)", "[(say(b'%d ' % n), time.sleep(0.02)) for n in range(150)]")
    victim = lab.submit(source, distributed=MpiSpec(process_count_per_node=2, node_count=2))
    for index in range(4):
        victim.wait_log(b"all here", index)
    for _ in range(6):
        victim.kill(chance.choice(["controller", "supervisor", "agent"]), chance.randrange(2))
        victim.resume()
    victim.wait_end()
    checked(victim, started=4)


def test_a_wrapper_that_is_killed_is_told(lab: Lab) -> None:
    """Whoever kills the process that watches a rank ends that rank; the run fails and says what nobody saw."""
    victim = lab.submit("import time; print('up', flush=True); time.sleep(600)")
    started = victim.wait_started()["main"]
    assert send(started["wrapper"]["pid"], signal.SIGKILL)
    victim.wait_end(limit_s=_LIMIT_S)
    checked(victim, "Failed", started=1)
