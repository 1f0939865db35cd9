"""Controller, agents, sshd sessions and supervisors of runs on hosts, killed at seeded moments: F1, F3, F4, F7."""

from __future__ import annotations

import random
from pathlib import Path
from typing import NamedTuple

import pytest

from runner.spec.request import MpiSpec
from tests.faults.lab import pause, wait_until
from tests.lab.job_python import lab_python
from tests.network.invariants import checked
from tests.network.stage import UNTIL_RELEASED, NetworkRun, Stage

pytestmark = [pytest.mark.lab(hosts=2), pytest.mark.timeout(240)]


@pytest.fixture
def mpich() -> Path:
    """A Python with MPICH for jobs; a host sees only what was built before it was switched on."""
    return lab_python("mpich")


class _Usage(NamedTuple):
    descriptor_count: int
    thread_count: int
    resident_bytes: int


def _reconnect(run: NetworkRun, count: int) -> None:
    """So many links that each had an agent at its end when they were killed."""
    for _ in range(count):
        wait_until(lambda: bool(run.agents()), what="an agent")
        run.kill("sshd")
        wait_until(lambda: not run.agents(), what="the agent's end")


def _usage(pid: int) -> _Usage:
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    descriptor_count = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return _Usage(descriptor_count, int(status["Threads"]), int(status["VmRSS"].split()[0]) * 1024)


_KINDS = ("controller", "supervisor", "agent", "sshd")


@pytest.mark.parametrize("kind", _KINDS)
def test_one_kind_killed_again_and_again(stage: Stage, chance: random.Random, kind: str) -> None:
    """Twenty-five kills that hit, then an orderly end: no byte lost or doubled, nothing started twice."""
    run = stage.submit(UNTIL_RELEASED, nodes=2)
    run.wait_started("rank_0", "rank_1")
    assert run.kill_often((kind,), 25, chance, most_s=0.2) == 25
    for index in (0, 1):
        run.grown(index)
    run.release()
    run.wait_end(limit_s=60)
    checked(run, started=2)


def test_sshd_is_down_for_a_while(stage: Stage) -> None:
    """The listener stopped and all sessions killed: contact is lost, and all goes on by itself (F7)."""
    run = stage.submit(UNTIL_RELEASED, nodes=2)
    run.grown(1)
    stage.lab.faults.stop_sshd("lab2")
    run.kill("sshd", 1)
    assert "lab2" in run.wait_lost(1).problem
    assert run.record.status == "Running"
    pause(3)
    run.grown(0)  # The other node is not held up.
    stage.lab.faults.start_sshd("lab2")
    run.wait_found(1)
    run.grown(1)
    run.release()
    run.wait_end()
    checked(run, started=2)


@pytest.mark.chaos
@pytest.mark.timeout(900)
@pytest.mark.parametrize("turn", range(5))
def test_a_long_run_under_fire(stage: Stage, chance: random.Random, turn: int) -> None:
    """A hundred kills of everything that may die, from the first moment on."""
    run = stage.submit(UNTIL_RELEASED, nodes=2, processes=4)
    run.kill_often(_KINDS, 100, chance, most_s=0.4)
    run.release()
    run.wait_end(limit_s=200)
    checked(run, started=4)


@pytest.mark.chaos
@pytest.mark.mpi
@pytest.mark.network
@pytest.mark.timeout(900)  # The first time on a machine, the environment is built.
@pytest.mark.parametrize("kinds", [("controller", "agent", "sshd"), ("supervisor",)])
def test_ranks_of_an_mpi_never_notice(mpich: Path, stage: Stage, chance: random.Random, kinds: tuple[str, ...]) -> None:
    """MPICH's ranks exchange data for as long as everything of the runner's is killed around them (F1, F3, F4, F7)."""
    source = """
import time
from mpi4py import MPI
c = MPI.COMM_WORLD
number = 0
while not c.bcast(may_end(), root=0):
    number += 1
    say(b"%d " % c.allreduce(number))
    time.sleep(0.01)
"""
    shape = MpiSpec(process_count_per_node=2, node_count=2)
    run = stage.submit(source, nodes=2, distributed=shape, interpreter=mpich)
    run.grown(3)
    run.kill_often(kinds, 25, chance)
    run.grown(3)
    run.release()
    run.wait_end()
    checked(run, started=4)


@pytest.mark.chaos
@pytest.mark.timeout(1800)
@pytest.mark.lab(hosts=1)
def test_a_thousand_reconnections(stage: Stage) -> None:
    """Neither descriptors nor threads nor memory of the controller grow with the links it has had (F51)."""
    run = stage.submit(UNTIL_RELEASED)
    run.grown()
    controller = run.controller()
    assert controller is not None
    _reconnect(run, 100)
    run.grown()  # Both are looked at while a link stands.
    before = _usage(controller.pid)
    _reconnect(run, 900)
    run.grown()
    after = _usage(controller.pid)
    print(f"after 100: {before}, after 1000: {after}")
    assert after.descriptor_count <= before.descriptor_count + 4
    assert after.thread_count <= before.thread_count + 4
    assert after.resident_bytes <= before.resident_bytes * 1.05 + 4 * 2**20
    run.release()
    run.wait_end()
    checked(run, started=1)


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_short_runs_killed_from_beginning_to_end(stage: Stage, chance: random.Random) -> None:
    """Kills while sidecar and snapshot come over, while outputs are collected, sealed, acknowledged (F46, F52)."""
    source = "for n in range(20): say(b'%d ' % n * 500)\nopen('outputs/o', 'wb').write(bytes(300_000))\n"
    for turn in range(40):
        run = stage.submit(source + f"# {turn}\n", nodes=2)
        for _ in range(8):
            pause(chance.uniform(0, 0.5))
            run.kill(chance.choice(_KINDS), chance.randrange(2))
            run.resume()
        run.wait_end(limit_s=90)
        checked(run, started=2)
