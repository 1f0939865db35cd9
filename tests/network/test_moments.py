"""Killed at the N-th system call while a run over SSH is ended, sealed, collected and removed: F18, F52."""

from __future__ import annotations

import contextlib
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import tracing
from tests.faults.lab import wait_until
from tests.network.invariants import checked
from tests.network.stage import NetworkRun, Stage

pytestmark = [pytest.mark.lab(hosts=2), pytest.mark.strace, pytest.mark.timeout(300)]
_SHORT = "for n in range(20): say(b'%d ' % n * 500)\nopen('outputs/o', 'wb').write(bytes(300_000))\n"
_WAITING = f"{_SHORT}import time\nwhile not may_end(): time.sleep(0.01)\n"
_SAMPLED = [3, pytest.param(40, marks=[pytest.mark.chaos, pytest.mark.timeout(1800)])]


@pytest.mark.parametrize("count", _SAMPLED)
def test_a_controller_killed_at_any_call(stage: Stage, chance: random.Random, tmp_path: Path, count: int) -> None:
    """From its first word to its last: whoever meets the run brings it to its end, with every byte, started once."""
    counted = stage.create(_SHORT, nodes=2)
    tracing.lead(counted, "runner controller", tmp_path / "counted")
    checked(stage.victim(counted.run_id), started=2)
    for moment in tracing.moments(tmp_path / "counted", chance, count, after="controller.lock"):
        run = stage.victim(stage.create(_SHORT, nodes=2).run_id)
        tracing.lead(run, "runner controller", tmp_path / f"killed-{moment}", fault=tracing.KILL, at=moment)
        run.wait_end()
        print(f"killed at call {moment}")
        checked(run, started=2)


@pytest.mark.parametrize("count", _SAMPLED)
@pytest.mark.parametrize("part", ["supervisor", "agent"])
def test_a_part_killed_while_its_node_is_closed(
    stage: Stage, chance: random.Random, tmp_path: Path, part: str, count: int
) -> None:
    """Between the end of the script and that of the node's folder: a seal is true, or made again, never believed."""
    with _traced(stage, part, tmp_path / "counted") as run:
        run.wait_end()
    checked(run, started=2)
    for moment in tracing.moments(tmp_path / "counted", chance, count):
        with _traced(stage, part, tmp_path / f"killed-{moment}", at=moment) as run:
            run.wait_end()
        print(f"killed at call {moment}")
        checked(run, started=2)


@contextlib.contextmanager
def _traced(stage: Stage, part: str, log: Path, *, at: tracing.Moment | None = None) -> Iterator[NetworkRun]:
    """A run whose scripts are let go once a part of its second node is traced; its steps die with the supervisor."""
    run = stage.submit(_WAITING, nodes=2)
    run.wait_started("rank_0", "rank_1")
    pid = next(pid for pid in run.pids("sidecar", part) if run.record.nodes[1].encode() in _words(pid))
    command = [*tracing.command(log, fault=tracing.KILL, at=at), "-p", str(pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        try:
            assert tracer.stderr is not None
            assert "attached" in tracer.stderr.readline()
            run.release()
            yield run
            wait_until(lambda: tracer.poll() is not None, what="the end of what was traced")
        finally:
            tracer.kill()
    for host in run.hosts:
        host.path("/home/lab/go").unlink()


def _words(pid: int) -> list[bytes]:
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
