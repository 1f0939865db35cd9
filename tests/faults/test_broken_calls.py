"""The N-th call of a part fails with EIO, or comes back short: no broken record, nothing started twice (F17)."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from runner import wiring
from runner.errors import MachineError
from tests.faults import tracing
from tests.faults.invariants import checked
from tests.faults.lab import COUNTING, Lab, Victim, wait_until

pytestmark = pytest.mark.strace

_SHORT = COUNTING.format(lines=20, pause=0.01)
_SAMPLED = [4, pytest.param(60, marks=[pytest.mark.chaos, pytest.mark.timeout(900)])]
_FIRST_WORDS = {"runner controller": "controller.lock", "sidecar agent": "plan.json", "sidecar supervisor": "plan.json"}
# Calls that can fail on a disk. Closing and forking cannot fail so, and a failed openat of a library is another test.
_FAILING = "write,pwrite64,?rename,?renameat,?renameat2,?link,linkat,?mkdir,mkdirat,fsync,ftruncate"
_EIO = "error=EIO"


@pytest.mark.parametrize("count", _SAMPLED)
@pytest.mark.parametrize("part", list(_FIRST_WORDS))
def test_a_call_of_a_part_fails(lab: Lab, chance: random.Random, tmp_path: Path, part: str, count: int) -> None:
    """Controller, agent, supervisor: one that cannot go on ends, the next one does, and the run ends true."""
    counted = lab.create(_SHORT, processes=2, nodes=2)
    tracing.lead(counted, part, tmp_path / "counted", calls=_FAILING)
    for moment in tracing.moments(tmp_path / "counted", chance, count):
        log = tmp_path / f"failed-{moment}"
        victim = lab.create(_SHORT, processes=2, nodes=2)
        tracing.lead(victim, part, log, calls=_FAILING, fault=_EIO, at=moment)
        wait_until(lambda victim=victim: _has_ended(victim), limit_s=60, what=f"the end of {victim.run.root}")
        print(f"failed at call {moment}: {[line for line in tracing.lines(log) if 'INJECTED' in line]}")
        _checked_or_told(victim)


@pytest.mark.parametrize("count", _SAMPLED)
def test_a_call_of_a_submit_fails(lab: Lab, chance: random.Random, tmp_path: Path, count: int) -> None:
    """Either the command says why there is no run, or there is one that ends as if nothing had been."""
    argv = [sys.executable, "-m", "runner", "submit", str(lab.config(_SHORT)), "-o", "json"]
    log = tmp_path / "log"
    counting = [*tracing.command(log, calls=_FAILING), *argv]
    subprocess.run(counting, cwd=wiring.bundle_folder(), env=lab.environ, check=True, capture_output=True)
    lab.victim(*lab.run_ids()).wait_end()
    for moment in tracing.moments(log, chance, count):
        before = set(lab.run_ids())
        failing = [*tracing.command(log, calls=_FAILING, fault=_EIO, at=moment), *argv]
        done = subprocess.run(failing, cwd=wiring.bundle_folder(), env=lab.environ, capture_output=True, text=True)
        print(f"failed at call {moment}: {[line for line in tracing.lines(log) if 'INJECTED' in line]}")
        assert "Traceback" not in done.stderr
        assert done.returncode == 0 or "Input/output error" in done.stderr
        made = set(lab.run_ids()) - before
        assert len(made) <= 1
        assert made or done.returncode != 0
        for run_id in made:
            victim = lab.victim(run_id)
            wait_until(lambda victim=victim: _has_ended(victim), what="the end of the run")
            checked(victim, started=1)


def _checked_or_told(victim: Victim) -> None:
    """Where the node could not even take its plan, the run says so and has started nothing."""
    failure = victim.record.failure
    if failure is None:
        checked(victim, started=2)
    else:
        assert "Input/output error" in failure["summary"]
        checked(victim, "Failed", started=0)


def _has_ended(victim: Victim) -> bool:
    try:
        victim.resume()
    except MachineError:
        return False  # A controller that met the fault at once; the next one does not.
    return victim.record.status.is_terminal
