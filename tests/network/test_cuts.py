"""Networks that are cut, refuse, reset or crawl while a run goes on: F2, F8 to F11."""

from __future__ import annotations

import os
import signal
import time
from typing import Literal

import pytest

from tests.faults.lab import pause, wait_until
from tests.network.invariants import checked
from tests.network.stage import UNTIL_RELEASED, Stage

pytestmark = [pytest.mark.lab(hosts=2), pytest.mark.timeout(240)]
# What a dead link may go on unnoticed.
_NOTICE_S = 15.0


@pytest.mark.parametrize("cut_s", [5.0, pytest.param(60.0, marks=pytest.mark.chaos)])
def test_a_cut_cable(stage: Stage, cut_s: float) -> None:
    """Nothing passes for a while: contact is lost, never the run, and every byte comes once the cable is whole (F8)."""
    run = stage.submit(UNTIL_RELEASED, nodes=2)
    run.grown(1)
    since = time.monotonic()
    stage.lab.faults.cut("lab2")
    while time.monotonic() < since + cut_s:
        pause(0.5)
        assert run.record.status == "Running"
    if cut_s > _NOTICE_S:
        lost = run.lost_contact(1)
        assert lost is not None
        assert "lab2" in lost.problem
    run.grown(0)
    stage.lab.faults.heal("lab2")
    run.grown(1)
    run.wait_found(1)
    run.release()
    run.wait_end()
    checked(run, started=2)


@pytest.mark.chaos
@pytest.mark.parametrize("direction", ["in", "out"])
def test_half_a_cut(stage: Stage, direction: Literal["in", "out"]) -> None:
    """Only one direction is dead: noticed in time, and all comes once it is whole (F11)."""
    run = stage.submit(UNTIL_RELEASED, nodes=2)
    run.grown(1)
    stage.lab.faults.cut("lab2", direction)
    run.wait_lost(1, limit_s=_NOTICE_S)
    assert run.record.status == "Running"
    stage.lab.faults.heal("lab2")
    run.wait_found(1)
    run.release()
    run.wait_end()
    checked(run, started=2)


def test_connections_refused_for_a_while(stage: Stage) -> None:
    """Every connection is reset: the reason is told, the other node goes on, and so does this one afterwards (F9)."""
    run = stage.submit(UNTIL_RELEASED, nodes=2)
    run.grown(1)
    stage.lab.faults.refuse("lab2")
    run.wait_lost(1)
    wait_until(lambda: (lost := run.lost_contact(1)) is not None and "refused" in lost.problem, what="the reason")
    run.grown(0)
    stage.lab.faults.heal("lab2")
    run.wait_found(1)
    run.release()
    run.wait_end()
    checked(run, started=2)


@pytest.mark.lab(hosts=1)
@pytest.mark.parametrize("limit_bytes", [200_000, pytest.param(65_536, marks=pytest.mark.chaos)])
def test_connections_that_live_for_some_kilobytes(stage: Stage, limit_bytes: int) -> None:
    """Each connection is reset after a few kilobytes, from the first one on: still everything comes over (F9)."""
    stage.lab.faults.reset_every("lab1", limit_bytes)
    run = stage.submit("for n in range(100): say(b'%d ' % n * 2500 + b'\\n')\n")
    run.wait_end(limit_s=200)
    # Nobody told the host of the resets: what waits there for a submitter gives up by itself, after a minute.
    wait_until(lambda: not run.host().processes(), limit_s=90, what="the end of what was cut off")
    checked(run, started=1)


@pytest.mark.parametrize("bits_per_second", [1_000_000, pytest.param(64_000, marks=pytest.mark.chaos)])
def test_a_slow_link_does_not_hold_up_news(stage: Stage, bits_per_second: int) -> None:
    """A log that the link cannot carry: the end of a process is known soon, long before the log is here (F10)."""
    source = "import os, time\nif os.environ['RANK'] == '1':\n    for n in range(400): say(b'%07d ' % n * 1000)\n"
    source += "while not may_end(): time.sleep(0.01)\n"
    run = stage.submit(source, nodes=2)
    run.wait_started("rank_0", "rank_1")
    stage.lab.faults.throttle("lab2", bits_per_second)
    run.grown(1)
    run.release()
    since = time.monotonic()
    wait_until(lambda: any(e["event"] == "exited" for e in run.events(1)), what="the end of rank 1")
    assert time.monotonic() - since < 5
    stage.lab.faults.heal("lab2")
    run.wait_end()
    checked(run, started=2)


@pytest.mark.chaos
def test_news_over_a_line_of_a_kilobyte_a_second(stage: Stage) -> None:
    """Found again over 8 kbit/s, with megabytes waiting there: news still takes no more than seconds (F10)."""
    source = "import time\nwhile not may_end(): time.sleep(0.01)\nfor n in range(400): say(b'%07d ' % n * 1000)\n"
    source += "while not os.path.exists('/home/lab/end'): time.sleep(0.01)\n"
    run = stage.submit(f"import os\n{source}")
    run.wait_started()
    stage.lab.faults.throttle("lab1", 8_000)
    run.kill("sshd")
    run.wait_lost()
    run.wait_found(limit_s=120)
    run.release()
    run.grown(by=2000, limit_s=60)
    run.host().path("/home/lab/end").touch()
    since = time.monotonic()
    wait_until(lambda: any(e["event"] == "exited" for e in run.events()), what="the end of the script")
    took_s = time.monotonic() - since
    print(f"the news took {took_s:.1f} s")
    assert took_s < 5
    stage.lab.faults.heal("lab1")
    run.wait_end()
    checked(run, started=1)


@pytest.mark.chaos
def test_a_line_that_becomes_slow_in_mid_flood(stage: Stage) -> None:
    """Megabytes are under way when the line drops to 64 kbit/s: a new link leaves them behind, and news comes (F10)."""
    run = stage.submit("while not may_end(): say(b'flood ' * 10000)\n")
    run.grown(by=20_000_000)
    stage.lab.faults.throttle("lab1", 64_000)
    run.release()
    wait_until(lambda: any(e["event"] == "exited" for e in run.events()), what="the end of the script", limit_s=90)
    stage.lab.faults.heal("lab1")
    run.wait_end()
    checked(run, started=1)


@pytest.mark.chaos
@pytest.mark.timeout(400)
def test_a_long_round_trip_with_losses(stage: Stage) -> None:
    """Three hundred milliseconds there and back, one frame in a hundred lost: slow, and nothing else (F10)."""
    stage.lab.faults.delay("lab2", 0.15, loss=0.01, seed=7)
    run = stage.submit("for n in range(100): say(b'%d ' % n * 2500)\n", nodes=2)
    run.wait_end(limit_s=300)  # TCP itself brings some 50 KB a second over such a line
    checked(run, started=2)


@pytest.mark.chaos
@pytest.mark.lab(hosts=1)
@pytest.mark.parametrize("bits_per_second", [8_000_000, 500_000])
def test_a_snapshot_over_a_slow_line(stage: Stage, bits_per_second: int) -> None:
    """Megabytes to ship on a line that is slow: one link carries them all, and is not taken for a dead one (F10)."""
    size_bytes = 5 * bits_per_second // 8 + 1_000_000
    stage.lab.faults.throttle("lab1", bits_per_second)
    run = stage.submit(
        "import os\nsay(b'%d' % os.stat('ballast').st_size)\n", files={"ballast": os.urandom(size_bytes)}
    )
    seen: set[float] = set()
    while not run.record.status.is_terminal:
        lost = run.lost_contact()
        seen |= {lost.lost_at} if lost else set()
        pause(0.05)
    checked(run, started=1)
    assert run.run.driver_log(None).read_bytes() == b"%d" % size_bytes
    assert seen == set()


@pytest.mark.chaos
def test_a_controller_that_sleeps(stage: Stage) -> None:
    """The submitting side stopped for longer than an agent waits, and woken: nothing is lost (F2)."""
    run = stage.submit(UNTIL_RELEASED, nodes=2)
    run.grown(1)
    controller = run.controller()
    assert controller is not None
    os.kill(controller.pid, signal.SIGSTOP)
    pause(12)
    os.kill(controller.pid, signal.SIGCONT)
    run.grown(0)
    run.grown(1)
    run.release()
    run.wait_end()
    checked(run, started=2)
