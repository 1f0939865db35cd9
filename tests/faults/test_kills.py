"""Controller, supervisors and agents killed at seeded moments: F1, F3, F4, and all of them together."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time

import pytest

from tests.faults.invariants import checked
from tests.faults.lab import COUNTING, Lab, Victim, pause, wait_until

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


def test_attach_takes_an_orphaned_run_to_its_end(lab: Lab) -> None:
    """Controller, agents and supervisors all killed at once: `runner attach` goes on and shows every line."""
    victim = lab.submit(COUNTING.format(lines=120, pause=0.01), processes=2, nodes=2)
    victim.wait_log(b"5 5 5", 0)
    victim.wait_log(b"5 5 5", 1)
    for kind in ("controller", "agent", "agent", "supervisor"):
        victim.kill(kind)
    victim.kill("supervisor", 1)
    attached = lab.command("attach", victim.run_id)
    assert attached.returncode == 0
    assert "119 119" in attached.stdout
    checked(victim, started=2)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_a_terminal_that_is_closed(lab: Lab, number: signal.Signals) -> None:
    """What a closed terminal, Ctrl-C or a kill of the whole session does to a submit that follows: the run goes on."""
    config = str(lab.config(COUNTING.format(lines=100, pause=0.01)))
    following = lab.popen("submit", config, "--show-output", start_new_session=True)
    wait_until(lambda: bool(lab.run_ids()), what="a run")
    victim = lab.victim(lab.run_ids()[0])
    victim.wait_started()
    os.killpg(following.pid, number)
    following.wait(timeout=20)
    victim.wait_end(resumes=False)
    checked(victim, started=1)


def test_what_a_killed_step_left_goes_with_the_run(lab: Lab) -> None:
    """Half a file of a step that was killed while it wrote is no part of the run at its end."""
    victim = lab.submit(COUNTING.format(lines=100, pause=0.01))
    victim.wait_started()
    killed = subprocess.Popen(["true"])
    killed.wait()
    context = victim.run.job_context
    context.with_name(f".{context.name}.{killed.pid}.0badcafe.tmp").touch()
    victim.wait_end()
    checked(victim, started=1)


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
