"""Disks that are full on either side of a run over the network: F13, F14, F15, and copies cut by a power loss, F19."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.errors import MachineError
from tests.faults.lab import pause, wait_until
from tests.faults.test_disks import fill, small_disk
from tests.lab.laboratory import Laboratory
from tests.lab.options import HostOptions
from tests.network.invariants import checked
from tests.network.stage import UNTIL_RELEASED, NetworkRun, Stage

pytestmark = [pytest.mark.lab(hosts=1), pytest.mark.timeout(240)]
_MUCH = "import time\nwhile not may_end():\n    for n in range(40): say(b'%07d ' % n * 4096)\n    time.sleep(0.02)\n"


@pytest.fixture
def small_workspace(tmp_path: Path, lab: Laboratory) -> Iterator[Path]:
    """The workspace's disk has eight megabytes."""
    with small_disk(tmp_path / "workspace", "8m") as disk:
        yield disk


def _has_ended(run: NetworkRun) -> bool:
    """Resumes as a person would who tries again; whether the run has ended."""
    try:
        run.resume()
    except (MachineError, OSError):
        return False
    return run.record.status.is_terminal


@pytest.mark.parametrize("kills_controller", [False, True])
def test_the_submitters_disk_is_full(small_workspace: Path, stage: Stage, kills_controller: bool) -> None:
    """A log fills the disk here: the run waits and says why, and goes on to the last byte once there is room (F13)."""
    run = stage.submit(_MUCH)
    run.wait_started()
    wait_until(lambda: os.statvfs(small_workspace).f_bavail == 0, what="a full disk")
    assert f"no space left on the disk of {run.run.root}" in stage.command("status", run.run_id).stdout
    if kills_controller:
        run.kill("controller")
    run.release()
    pause(3)
    assert run.record.status == "Running"
    subprocess.run(["mount", "-o", "remount,size=400m", small_workspace], check=True)
    wait_until(
        lambda: _has_ended(run) if kills_controller else run.record.status.is_terminal, limit_s=90, what="the end"
    )
    checked(run, started=1)


@pytest.mark.chaos
def test_a_disk_that_fills_up_again_and_again(small_workspace: Path, stage: Stage, chance: random.Random) -> None:
    """Whatever the controller was just writing when there was no room: it waits, and no line is lost or doubled."""
    source = "import time\nfor n in range(60):\n    say(b'%d ' % n * 500)\n    time.sleep(0.02)\n"
    for _ in range(15):
        run = stage.submit(source)
        run.wait_started()
        until = time.monotonic() + 12
        while not run.record.status.is_terminal and time.monotonic() < until:
            pause(chance.uniform(0, 0.3))
            fill(small_workspace)
            pause(chance.uniform(0, 0.8))
            (small_workspace / "ballast").unlink()
        wait_until(lambda run=run: _has_ended(run), limit_s=60, what="the end")  # type: ignore[misc]
        checked(run, started=1)
        shutil.rmtree(run.run.root)


def _submit_patient(stage: Stage) -> NetworkRun:
    """A process on each of two nodes that has started, and writes much once it is let go; rank 1 then waits."""
    source = "import os, time\nsay(b'here')\nwhile not may_end(): time.sleep(0.01)\n"
    source += "while os.environ['RANK'] == '0': say(bytes(50_000))\ntime.sleep(300)\n"
    run = stage.submit(source, nodes=2)
    run.wait_started("rank_0", "rank_1")
    return run


def _checked_full(run: NetworkRun) -> None:
    record = checked(run, "Failed", started=2)
    assert record.failure is not None
    assert record.failure["summary"].startswith("rank_0 on lab1 failed first: ")
    assert "and lab1 has no space left on its disk" in record.failure["summary"]


@pytest.mark.lab(hosts=[HostOptions(home_size_bytes=30_000_000), HostOptions()])
def test_a_nodes_disk_is_full_for_a_process(stage: Stage) -> None:
    """The process is told, as everywhere; the run fails with its reason, is collected, and leaves nothing (F14)."""
    run = _submit_patient(stage)
    stage.lab.faults.fill_disk("lab1")
    run.release()
    run.wait_end(limit_s=90)
    _checked_full(run)


@pytest.mark.lab(hosts=[HostOptions(home_size_bytes=30_000_000), HostOptions()])
def test_a_nodes_disk_stays_full(stage: Stage) -> None:
    """Somebody else takes the very last room: the run waits, says for what, and ends with its reason (F14)."""
    run = _submit_patient(stage)
    run.node().reserve.unlink()
    stage.lab.faults.fill_disk("lab1")
    run.release()
    needle = "no space left on the disk of lab1"
    wait_until(lambda: needle in stage.command("status", run.run_id).stdout, limit_s=30, what="word of the full disk")
    pause(3)
    assert not run.record.status.is_terminal
    assert json.loads(stage.command("status", run.run_id, "-o", "json").stdout)["disk_full"] == ["lab1"]
    stage.lab.faults.free_disk("lab1")
    run.wait_end(limit_s=60)
    _checked_full(run)
    assert needle not in stage.command("status", run.run_id).stdout


@pytest.mark.lab(hosts=[HostOptions(home_size_bytes=30_000_000)])
def test_a_nodes_disk_is_full_and_freed(stage: Stage) -> None:
    """A script that waits for room loses nothing of what it said before and says afterwards (F14)."""
    source = (
        "import time\nwhile not may_end():\n    try: open('outputs/x', 'ab').write(bytes(100_000)); say(b'x' * 999)\n"
    )
    source += "    except OSError: say(b''); time.sleep(0.05)\nsay(b'the end')\nimport os; os.unlink('outputs/x')\n"
    run = stage.submit(source)
    run.grown()
    stage.lab.faults.fill_disk("lab1")
    pause(3)
    assert run.record.status == "Running"
    stage.lab.faults.free_disk("lab1")
    run.release()
    run.wait_end()
    checked(run, started=1)


@pytest.mark.chaos  # The node gets a minute to find room.
@pytest.mark.lab(hosts=[HostOptions(home_size_bytes=30_000_000), HostOptions()])
def test_a_node_without_room_from_the_start(stage: Stage) -> None:
    """Nothing can be shipped: the run fails before anything starts, and names node, place and reason (F14, F15)."""
    stage.lab.faults.fill_disk("lab1")
    run = stage.submit(_MUCH, nodes=2)
    run.wait_end(limit_s=90)
    record = run.record
    assert record.status == "Failed"
    assert record.failure is not None
    assert record.failure["summary"].startswith("secure on lab1 failed: ")
    assert "No space left on device" in record.failure["summary"]
    assert not stage.lab["lab2"].processes()


def test_a_locked_tmp(stage: Stage) -> None:
    """A node whose /tmp nobody may write is as good as any (F15)."""
    stage.lab["lab1"].path("/tmp").chmod(0o555)
    run = stage.submit("say(b'hello')\n")
    run.wait_end()
    checked(run, started=1)


def test_copies_that_lost_their_ends(stage: Stage, chance: random.Random) -> None:
    """After a power cut here files are shorter than they were, or wrong: the node sends what is missing (F19)."""
    run = stage.submit(UNTIL_RELEASED)
    for _ in range(5):
        run.grown(by=5000)
        run.kill("controller")
        wait_until(lambda: run.controller() is None, what="the controller's end")
        log = run.run.driver_log(None)
        os.truncate(log, chance.randrange(log.stat().st_size))
        run.resume()
    run.release()
    run.wait_end()
    checked(run, started=1)


def test_a_copy_with_wrong_bytes(stage: Stage) -> None:
    """Bytes that changed in the middle are found at the end: the file comes once more, the other is kept aside."""
    run = stage.submit("say(bytes(300_000))\nwhile not may_end(): pass\n")
    log = run.run.driver_log(None)
    wait_until(lambda: log.exists() and log.stat().st_size == 300_000, what="the log")
    with open(log, "r+b") as stream:
        stream.write(b"wrong")
    run.release()
    run.wait_end()
    checked(run, started=1)
    assert log.with_name(f"{log.name}.g1").read_bytes()[:5] == b"wrong"


@pytest.mark.lab(hosts=[HostOptions(home_size_bytes=30_000_000)])
def test_a_cancel_on_a_full_node(stage: Stage) -> None:
    """A script that goes on where it cannot write any more is stopped all the same (F14, F24)."""
    source = "import time\nwhile True:\n    try: open('outputs/x', 'ab').write(bytes(5_000)); say(b'x' * 999)\n"
    source += "    except OSError: time.sleep(0.1)\n"
    run = stage.submit(source)
    run.grown()
    stage.lab.faults.fill_disk("lab1")
    pause(2)
    assert run.cancel().status == "Canceled"
    checked(run, "Canceled", started=1)
