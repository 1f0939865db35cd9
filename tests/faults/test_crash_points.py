"""Killed at the N-th system call, for N over the whole life of each part of the runner (F18, F46, F52)."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from runner import wiring
from tests.faults import tracing
from tests.faults.invariants import checked
from tests.faults.lab import COUNTING, Lab

pytestmark = pytest.mark.strace

_SHORT = COUNTING.format(lines=20, pause=0.01)
_SAMPLED = [4, pytest.param(60, marks=[pytest.mark.chaos, pytest.mark.timeout(900)])]
_FIRST_WORDS = {"runner controller": "controller.lock", "sidecar agent": "plan.json", "sidecar supervisor": "plan.json"}


@pytest.mark.parametrize("count", _SAMPLED)
@pytest.mark.parametrize("part", list(_FIRST_WORDS))
def test_a_part_killed_at_any_call(lab: Lab, chance: random.Random, tmp_path: Path, part: str, count: int) -> None:
    """Controller, agent, supervisor: whatever the last thing was that they did, the run ends true, started once."""
    counted = lab.create(_SHORT, processes=2, nodes=2)
    tracing.lead(counted, part, tmp_path / "counted")
    checked(counted, started=2)
    for moment in tracing.moments(tmp_path / "counted", chance, count, after=_FIRST_WORDS[part]):
        victim = lab.create(_SHORT, processes=2, nodes=2)
        tracing.lead(victim, part, tmp_path / f"killed-{moment}", fault=tracing.KILL, at=moment)
        victim.wait_end()
        print(f"killed at call {moment}: {tracing.lines(tmp_path / f'killed-{moment}')[-1]}")
        checked(victim, started=2)


@pytest.mark.parametrize("count", _SAMPLED)
def test_a_controller_killed_while_it_closes(lab: Lab, chance: random.Random, tmp_path: Path, count: int) -> None:
    """Between the last process's end and the final status: the seal is made again, and true (F52)."""
    counted = lab.create(_SHORT)
    tracing.lead(counted, "runner controller", tmp_path / "counted")
    for moment in tracing.moments(tmp_path / "counted", chance, count, after="closing.json"):
        victim = lab.create(_SHORT)
        tracing.lead(victim, "runner controller", tmp_path / f"killed-{moment}", fault=tracing.KILL, at=moment)
        victim.wait_end()
        checked(victim, started=1)


@pytest.mark.parametrize("count", _SAMPLED)
def test_a_submit_killed_at_any_call(lab: Lab, chance: random.Random, tmp_path: Path, count: int) -> None:
    """There is either no run, or one that whoever meets it brings to its end, started once (F46)."""
    argv = [sys.executable, "-m", "runner", "submit", str(lab.config(_SHORT)), "-o", "json"]
    counting = [*tracing.command(tmp_path / "counted"), *argv]
    subprocess.run(counting, cwd=wiring.bundle_folder(), env=lab.environ, check=True, capture_output=True)
    lab.victim(*lab.run_ids()).wait_end()
    for moment in tracing.moments(tmp_path / "counted", chance, count, after=str(lab.workspace.root)):
        before = set(lab.run_ids())
        killing = [*tracing.command(tmp_path / "killed", fault=tracing.KILL, at=moment), *argv]
        subprocess.run(killing, cwd=wiring.bundle_folder(), env=lab.environ, capture_output=True)
        made = set(lab.run_ids()) - before
        assert len(made) <= 1
        for run_id in made:
            victim = lab.victim(run_id)
            victim.wait_end()
            checked(victim, started=1)
