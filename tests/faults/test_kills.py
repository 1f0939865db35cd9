"""Controller, supervisors and agents killed at seeded moments: F1, F3, F4, and all of them together."""

from __future__ import annotations

import random
import time

import pytest

from tests.faults.invariants import checked
from tests.faults.lab import COUNTING, Lab, Victim, pause

_KINDS = ("controller", "supervisor", "agent")


def _kill_at_random(victim: Victim, chance: random.Random, *, kinds: tuple[str, ...], count: int, most_s: float) -> int:
    """Up to `count` kills, each after a random pause, resuming the run after each; how many there were."""
    done = 0
    for _ in range(count):
        pause(chance.uniform(0, most_s))
        kind = chance.choice(kinds)
        done += victim.kill(kind, chance.randrange(len(victim.record.nodes)))
        victim.resume()
        if victim.record.status.is_terminal:
            break
    return done


@pytest.mark.parametrize("kind", _KINDS)
def test_one_kind_killed_again_and_again(lab: Lab, chance: random.Random, kind: str) -> None:
    """Twenty-five kills of one kind in a run of two nodes: no byte is lost or doubled, nothing is started twice."""
    victim = lab.submit(COUNTING.format(lines=150, pause=0.01), processes=2, nodes=2)
    assert _kill_at_random(victim, chance, kinds=(kind,), count=25, most_s=0.15) > 5
    victim.wait_end()
    checked(victim, started=2)


def test_all_kinds_killed_at_random(lab: Lab, chance: random.Random) -> None:
    """Whoever is killed at whatever moment, the run ends as if nothing had happened."""
    victim = lab.submit(COUNTING.format(lines=200, pause=0.01), processes=4, nodes=2)
    assert _kill_at_random(victim, chance, kinds=_KINDS, count=25, most_s=0.2) > 5
    victim.wait_end()
    checked(victim, started=4)


@pytest.mark.chaos
@pytest.mark.timeout(600)
@pytest.mark.parametrize("turn", range(10))
def test_a_long_run_under_fire(lab: Lab, chance: random.Random, turn: int) -> None:
    """A hundred kills a run, from its first moment to its last."""
    victim = lab.submit(COUNTING.format(lines=600, pause=0.01), processes=4, nodes=2)
    _kill_at_random(victim, chance, kinds=_KINDS, count=100, most_s=0.12)
    victim.wait_end(limit_s=200)
    checked(victim, started=4)


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_short_runs_killed_at_their_end(lab: Lab, chance: random.Random) -> None:
    """Kills in the last moments, while outputs are collected, the seal is made and the nodes are let go (F52)."""
    for _ in range(30):
        victim = lab.submit(COUNTING.format(lines=3, pause=0), processes=2, nodes=2)
        until = time.monotonic() + chance.uniform(0.3, 1.5)
        while time.monotonic() < until and not victim.record.status.is_terminal:
            pause(0.02)
        _kill_at_random(victim, chance, kinds=_KINDS, count=6, most_s=0.05)
        victim.wait_end()
        checked(victim, started=2)
