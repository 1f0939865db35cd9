"""The processes in which a node builds, prepares and releases: killed, they begin again, or are told of (F18)."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from sidecar import processes
from tests.faults.invariants import checked, nothing_runs
from tests.faults.lab import Lab, Victim, send, wait_until

# Enough files that release is still at work when it is hit.
_MANY_FILES = "for number in range(3000): open(f'outputs/{number}', 'w').write(str(number))"


def _kill_step(victim: Victim, verb: str, *, times: int = 1) -> None:
    """Kills the first processes of the step that are seen; looks at nothing but the supervisor's children."""
    hit: set[int] = set()

    def is_done() -> bool:
        supervisor = victim.supervisor()
        path = Path(f"/proc/{supervisor.pid}/task/{supervisor.pid}/children") if supervisor else Path("/nowhere")
        children = [int(pid) for pid in path.read_text().split()] if path.exists() else []
        steps = {pid for pid in children if f"step {verb} " in processes.command_line(pid) + " "}
        hit.update(pid for pid in steps - hit if send(pid, signal.SIGKILL))
        return len(hit) == times

    wait_until(is_done, what=f"{times} times a {verb} step")


@pytest.mark.parametrize("verb", ["build", "prepare", "release"])
def test_a_step_that_is_killed_begins_again(lab: Lab, verb: str) -> None:
    """Once is no reason to fail: the run ends as if nothing had happened."""
    victim = lab.submit(_MANY_FILES)
    _kill_step(victim, verb)
    victim.wait_end(resumes=False)
    checked(victim, started=1)
    assert [path.read_text() for path in sorted(victim.run.outputs.iterdir(), key=lambda path: int(path.name))] == [
        str(number) for number in range(3000)
    ]


def test_a_preparation_that_is_killed_twice_is_told(lab: Lab) -> None:
    """The run fails, says which step was killed by what, and has started nothing."""
    victim = lab.submit(_MANY_FILES)
    _kill_step(victim, "prepare", times=2)
    victim.wait_end(resumes=False)
    record = checked(victim, "Failed", started=0)
    assert record.failure is not None
    assert "the prepare step was killed by SIGKILL" in record.failure["summary"]


def test_a_release_that_is_killed_twice_keeps_what_it_has(lab: Lab) -> None:
    """The run says where the outputs are that could not be collected; its folder stays, its processes do not."""
    victim = lab.submit(_MANY_FILES)
    _kill_step(victim, "release", times=2)
    record = victim.wait_end(resumes=False)
    assert record.status == "Completed"
    assert len(record.warnings) == 1
    assert "killed by SIGKILL" in record.warnings[0]
    assert str(victim.node().work) in record.warnings[0]
    assert len(list((victim.node().work / "outputs").iterdir())) == 3000
    nothing_runs(victim)
