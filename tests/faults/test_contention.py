"""Several of everything at once: submits, controllers, commands that follow the same run (F45)."""

from __future__ import annotations

import subprocess
import sys

from runner import wiring
from sidecar.contract import lock
from tests.faults.invariants import checked
from tests.faults.lab import COUNTING, Lab, wait_until


def test_many_submits_at_once(lab: Lab) -> None:
    """Twenty submits of one config in one workspace: twenty runs, each with an id of its own, each complete."""
    config = str(lab.config(COUNTING.format(lines=5, pause=0)))
    found = [lab.popen("submit", config, stdout=subprocess.PIPE) for _ in range(20)]
    printed = [process.communicate(timeout=110)[0].decode() for process in found]
    assert [process.returncode for process in found] == [0] * 20
    run_ids = {line.split()[1] for text in printed for line in text.splitlines() if line.startswith("RunId:")}
    assert run_ids == set(lab.run_ids())
    assert len(run_ids) == 20
    for run_id in run_ids:
        victim = lab.victim(run_id)
        victim.wait_end(limit_s=100, resumes=False)
        checked(victim, started=1)


def test_a_second_controller_leaves(lab: Lab) -> None:
    """Controllers started beside the one that leads the run end at once, and change nothing."""
    victim = lab.submit(COUNTING.format(lines=100, pause=0.01))
    first = victim.controller()
    others = [lab.popen("controller", victim.run_id) for _ in range(5)]
    assert [process.wait(timeout=60) for process in others] == [0] * 5
    assert victim.controller() in (first, None)
    victim.wait_end(resumes=False)
    checked(victim, started=1)


def test_controllers_that_race_for_an_orphaned_run(lab: Lab) -> None:
    """Of ten that find a run without a controller, one leads it."""
    victim = lab.create(COUNTING.format(lines=50, pause=0.01), processes=2, nodes=2)
    racing = [lab.popen("controller", victim.run_id) for _ in range(10)]
    victim.wait_end(resumes=False)
    assert [process.wait(timeout=60) for process in racing] == [0] * 10
    checked(victim, started=2)


def test_several_that_attach(lab: Lab) -> None:
    """Everybody who attaches sees all of the output and the same end; one that is killed disturbs nobody."""
    victim = lab.create(COUNTING.format(lines=40, pause=0.02))
    following = [lab.popen("attach", victim.run_id, stdout=subprocess.PIPE) for _ in range(4)]
    victim.wait_log(b"5 5 5 5 5")
    following[0].kill()
    printed = [process.communicate(timeout=60)[0] for process in following]
    assert [process.returncode for process in following] == [-9, 0, 0, 0]
    said = victim.run.driver_log(None).read_bytes()
    assert all(b"39 39 39" in text for text in printed[1:]), said
    checked(victim, started=1)


def test_a_lock_of_a_dead_holder_is_free(lab: Lab) -> None:
    """A lock file that names a process which is gone, or another that has its pid now, is held by nobody (F21)."""
    victim = lab.create(COUNTING.format(lines=5, pause=0))
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as stranger:
        found = lock.identity.identify(stranger.pid)
        assert found is not None
        for reused in (found._replace(start_ticks=found.start_ticks - 1), found._replace(boot_id="another boot")):
            victim.run.controller_lock.write_bytes(lock.publish.to_json(reused.to_record()))
            assert lock.holder(victim.run.controller_lock) is None
        victim.wait_end()
        assert stranger.poll() is None
        stranger.kill()
    checked(victim, started=1)
    wait_until(lambda: lock.holder(victim.run.controller_lock) is None, what="the lock given back")
    assert wiring.run_controller(victim.workspace, victim.run_id)
