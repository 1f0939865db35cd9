"""Processes that hang, hide, fork and do not want to end: F2, F22, F23, F24, F25, F32."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.invariants import checked
from tests.faults.lab import COUNTING, Lab, pause, send, wait_until

_DAEMONS = """
import os, time
from said import say
for number in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            {life}
        os._exit(0)
    os.wait()
say(b"done\\n")
{end}
"""
_DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"


@pytest.mark.parametrize("kind", ["controller", "agent", "supervisor"])
def test_a_part_that_is_stopped_for_a_while(lab: Lab, kind: str) -> None:
    """SIGSTOP, some seconds, SIGCONT: nothing is lost, nobody is declared dead (F2)."""
    victim = lab.submit(COUNTING.format(lines=100, pause=0.01), processes=2)
    victim.wait_started("rank_0", "rank_1")
    found = victim.controller() if kind == "controller" else victim.supervisor()
    pid = victim.agents()[0] if kind == "agent" else found.pid if found is not None else 0
    assert send(pid, signal.SIGSTOP)
    pause(3)
    assert not victim.resume()
    assert send(pid, signal.SIGCONT)
    victim.wait_end(resumes=False)
    checked(victim, started=2)


def test_daemons_that_outlive_the_script(lab: Lab) -> None:
    """Double-forked, in sessions of their own, holding the log: the run ends after the linger, with nobody left."""
    victim = lab.submit(_DAEMONS.format(life="time.sleep(600)", end=""), grace_s=0.5)
    victim.wait_end(limit_s=15)
    checked(victim, started=1)


def test_a_daemon_that_still_speaks_is_heard(lab: Lab) -> None:
    """What a daemon writes within the linger is in the log."""
    victim = lab.submit(_DAEMONS.format(life="time.sleep(0.3); say(b'late' + bytes([10]))", end=""))
    victim.wait_end(limit_s=15)
    checked(victim, started=1)
    assert victim.run.driver_log(None).read_bytes() == b"done\n" + 3 * b"late\n"


def test_cancel_reaches_daemons_of_a_killed_supervisor(lab: Lab) -> None:
    """Hidden by setsid and two forks, orphaned by the death of their supervisor: a cancel still leaves nobody."""
    victim = lab.submit(_DAEMONS.format(life="time.sleep(600)", end="time.sleep(600)"), grace_s=0.5)
    victim.wait_log(b"done")
    assert victim.kill("supervisor")
    record = victim.cancel()
    assert record.census is not None
    assert [node["left"] for node in record.census.values()] == [0]
    checked(victim, "Canceled", started=1)


def test_a_process_that_ignores_term(lab: Lab) -> None:
    """KILL comes after the grace, not later than two seconds after it, and a second cancel changes nothing (F24)."""
    victim = lab.submit(_DEAF, grace_s=1.0)
    victim.wait_log(b"up")
    begun = time.monotonic()
    victim.cancel()
    # The grace and two seconds; the rest is the release, on a machine that is busy with other tests.
    assert time.monotonic() - begun < 1.0 + 2.0 + 5.0
    killed = next(event for event in victim.events() if event["event"] == "exited")
    stopping = next(event for event in victim.events() if event["event"] == "stopping")
    assert killed["signal"] == "SIGKILL"
    assert 1.0 <= (killed["monotonic_ns"] - stopping["monotonic_ns"]) / 1e9 <= 3.0
    assert victim.cancel().status == "Canceled"
    checked(victim, "Canceled", started=1)


def test_a_cancel_before_the_start(lab: Lab) -> None:
    """A run that is canceled before anything was started ends as Canceled, and nothing ever is (F24)."""
    victim = lab.create(_DEAF)
    victim.cancel()
    checked(victim, "Canceled", started=0)


@pytest.mark.parametrize("killed", [(), ("controller", "supervisor", "agent")], ids=["watched", "all killed"])
def test_the_time_limit_holds(lab: Lab, killed: tuple[str, ...]) -> None:
    """max_run_duration_seconds counts from the start, whoever is killed meanwhile, and is named as the cause."""
    victim = lab.submit(_DEAF, grace_s=0.5, max_run_duration_seconds=2)
    victim.wait_log(b"up")
    for kind in killed:
        victim.kill(kind)
    victim.wait_end(limit_s=20)
    record = checked(victim, "Failed", started=1)
    assert record.failure is not None
    assert record.failure["first"]["kind"] == "timeout"
    stopping = next(event for event in victim.events() if event["event"] == "stopping")
    started = next(event for event in victim.events() if event["event"] == "started")
    assert 1.5 <= (stopping["monotonic_ns"] - started["monotonic_ns"]) / 1e9 <= 5.0


def test_cancels_from_several_sides(lab: Lab) -> None:
    """Commands that cancel at once all see the same end."""
    victim = lab.submit(_DEAF, processes=2, nodes=2, grace_s=0.5)
    victim.wait_started("rank_0", "rank_1")
    found = [lab.popen("cancel", victim.run_id) for _ in range(4)]
    assert [process.wait(timeout=60) for process in found] == [0, 0, 0, 0]
    checked(victim, "Canceled", started=2)


def test_a_rank_that_is_stopped_is_told_and_can_be_killed(lab: Lab) -> None:
    """SIGSTOP of a rank: a stalled event within 15 seconds, and a cancel that works all the same (F25)."""
    victim = lab.submit("import time; time.sleep(600)", processes=2, grace_s=0.5)
    rank = victim.wait_started("rank_0", "rank_1")["rank_1"]["pid"]
    os.kill(rank, signal.SIGSTOP)
    wait_until(
        lambda: [event["process"] for event in victim.events() if event["event"] == "stalled"] == ["rank_1"],
        limit_s=15,
        what="the stalled event",
    )
    victim.cancel()
    checked(victim, "Canceled", started=2)


@pytest.mark.parametrize(
    "source",
    [
        "import os; os.close(1); os.close(2)",
        "import os; os.dup2(os.open('/dev/full', os.O_WRONLY), 1); os.write(2, b'said')",
        "import os; os.dup2(1, 9); os.close(1); os.write(9, b'said')",
        "import sys; assert sys.stdin.read() == ''; print(end='said')",
        "import os; os.dup2(os.open(os.devnull, os.O_RDONLY), 1)",
    ],
    ids=["closed", "full", "duplicated", "stdin", "read-only"],
)
def test_odd_descriptors(lab: Lab, source: str) -> None:
    """Whatever a script does to its own descriptors, the run is tracked to its end (F32)."""
    victim = lab.submit(source)
    victim.wait_end()
    checked(victim, started=1)
    assert victim.run.driver_log(None).read_bytes() in (b"", b"said")


def test_a_fork_bomb_within_its_limit(lab: Lab) -> None:
    """The script eats every process it may have; the supervisor stays, a cancel works, nobody is left (F23)."""
    source = (
        "import os, resource, time\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "resource.setrlimit(resource.RLIMIT_NPROC, (200, 200))\n"
        "while True:\n"
        "    try:\n"
        "        if os.fork() == 0: time.sleep(600)\n"
        "    except OSError:\n"
        "        os.write(1, b'full\\n'); time.sleep(1)\n"
    )
    victim = lab.submit(source, grace_s=0.5)
    victim.wait_log(b"full")
    victim.cancel()
    checked(victim, "Canceled", started=1)


@pytest.fixture
def small_cgroup() -> Iterator[Path]:
    """A control group that may hold 40 processes; cgroup.procs in it takes pids."""
    parents = [Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup")]
    parent = next((one for one in parents if (one / "cgroup.procs").exists()), None)
    if parent is None:
        pytest.skip("no control group of processes is mounted")
    folder = parent / f"fault-{os.getpid()}"
    folder.mkdir()
    try:
        (folder / "pids.max").write_text("40")
        yield folder
    finally:
        wait_until(lambda: (folder / "cgroup.procs").read_text() == "", limit_s=10, what="an empty control group")
        folder.rmdir()


@pytest.mark.root
def test_a_fork_bomb_among_the_runners_own_processes(lab: Lab, small_cgroup: Path) -> None:
    """The bomb leaves no process for controller, agent and supervisor either: they stay, and a cancel works (F23)."""
    bomb = (
        "import os, time\n"
        "while True:\n"
        "    try:\n"
        "        if os.fork() == 0: time.sleep(600)\n"
        "    except OSError:\n"
        "        os.write(1, b'full\\n'); time.sleep(1)\n"
    )
    victim = lab.create(bomb, grace_s=0.5)
    argv = ["/bin/sh", "-c", 'echo $$ > "$0" && exec "$@"', str(small_cgroup / "cgroup.procs")]
    controller = lab.popen("controller", victim.run_id, prefix=argv)
    victim.wait_log(b"full")
    assert lab.command("status", victim.run_id).returncode == 0
    victim.cancel()
    checked(victim, "Canceled", started=1)
    assert controller.wait(timeout=20) == 0


def test_a_segment_of_a_process_that_is_gone_at_once(lab: Lab) -> None:
    """System V shared memory of a script shorter than any look at it is removed, and said to be."""
    source = "import ctypes\nprint(ctypes.CDLL(None).shmget(0, 4096, 0o1600), flush=True)\n"
    run = lab.submit(source)
    record = run.wait_end()
    segment = int(run.run.driver_log(None).read_text())
    assert record.census is not None
    assert record.census["local-0"]["removed"] == [f"sysv:{segment}"]
    assert ctypes.CDLL(None).shmctl(segment, 2, ctypes.create_string_buffer(256)) == -1  # IPC_STAT
