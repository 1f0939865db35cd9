"""How runs end when processes resist, nodes are away, or machines go down: F2, F24, F25, F45 to F47."""

from __future__ import annotations

import threading
import time

import pytest

from sidecar.contract import publish, settings
from tests.faults.lab import pause, wait_until
from tests.network.invariants import checked, nothing_left_on
from tests.network.stage import UNTIL_RELEASED, Stage

pytestmark = [pytest.mark.lab(hosts=2), pytest.mark.timeout(240)]
_STUBBORN = """
import os, signal, subprocess, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen(["setsid", "sh", "-c", "trap '' TERM; while :; do sleep 1; done"])
say(b"up")
while True: time.sleep(1)
"""


def test_cancel_of_the_stubborn(stage: Stage) -> None:
    """Ranks that ignore TERM and have daemons that do: gone within the grace and two seconds, on every host (F24)."""
    run = stage.submit(_STUBBORN, nodes=2, grace_s=1.0)
    run.wait_log(b"up", 0)
    run.wait_log(b"up", 1)
    since = time.monotonic()
    run.cancel()
    took_s = time.monotonic() - since
    record = checked(run, "Canceled", started=2)
    assert took_s < 1.0 + 4.0
    assert all(found["left"] == 0 for found in (record.census or {}).values())


def test_cancels_from_everywhere_and_before_the_start(stage: Stage) -> None:
    """Canceled by five at once, in the moment after it was submitted: one orderly end, and nothing was left (F24)."""
    run = stage.submit(_STUBBORN, nodes=2)
    askers = [threading.Thread(target=run.cancel) for _ in range(5)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    checked(run, "Canceled")


def test_a_rank_that_is_stopped(stage: Stage) -> None:
    """A rank in SIGSTOP is told of, and a cancel ends it like any other (F25)."""
    run = stage.submit("import os, signal\nsay(b'up')\nos.kill(os.getpid(), signal.SIGSTOP)\n", nodes=2)
    wait_until(lambda: any(e["event"] == "stalled" for e in run.events(1)), limit_s=20, what="the stall")
    assert run.record.status == "Running"
    run.cancel()
    checked(run, "Canceled", started=2)


def test_cancel_while_a_node_is_away(stage: Stage) -> None:
    """The others stop at once; the run waits for the one that is away, and stops it when it comes back."""
    run = stage.submit(UNTIL_RELEASED, nodes=2)
    run.grown(1)
    stage.lab.faults.cut("lab2")
    run.wait_lost(1)
    canceling = threading.Thread(target=run.cancel)
    canceling.start()
    wait_until(lambda: not _scripts(stage, "lab1"), what="the end of rank 0")
    pause(2)
    assert run.record.status == "CancelRequested"
    assert _scripts(stage, "lab2")
    stage.lab.faults.heal("lab2")
    canceling.join(timeout=60)
    checked(run, "Canceled", started=2)


@pytest.mark.chaos  # `runner cancel --abandon` itself is in test_status.
def test_a_node_that_is_given_up(stage: Stage) -> None:
    """Whoever does not want to wait says so: the run ends, tells what is missing, and where it lies."""
    run = stage.submit(UNTIL_RELEASED, nodes=2)
    run.grown(1)
    stage.lab.faults.cut("lab2")
    run.wait_lost(1)
    publish.create_once(run.run.abandon_request, b"{}")
    run.cancel()
    record = run.record
    assert record.status == "Canceled"
    assert record.census is not None
    assert "problem" in record.census["lab2"]
    assert "problem" not in record.census["lab1"]
    nothing_left_on(run, stage.lab["lab1"])


def test_a_resumed_controller_finds_a_node_away(stage: Stage) -> None:
    """The controller dies while a node is away: the next one knows since when, goes on with the others, and waits."""
    run = stage.submit(UNTIL_RELEASED, nodes=2)
    run.grown(1)
    stage.lab.faults.cut("lab2")
    lost_at = run.wait_lost(1).lost_at
    run.kill("controller")
    wait_until(run.resume, what="a new controller")
    run.grown(0)
    assert run.record.status == "Running"
    found = run.lost_contact(1)
    assert found is not None
    assert found.lost_at == lost_at
    stage.lab.faults.heal("lab2")
    run.grown(1)
    run.release()
    run.wait_end()
    checked(run, started=2)


def test_nobody_is_there_when_the_run_ends(stage: Stage) -> None:
    """The submitting side is away while all ranks end, for longer than agents wait: it finds everything (F1)."""
    run = stage.submit(UNTIL_RELEASED, nodes=2)
    run.grown(1)
    run.kill("controller")
    run.release()
    for name in ("lab1", "lab2"):
        wait_until(lambda name=name: not _scripts(stage, name), what="the end of the script")  # type: ignore[misc]
    run.wait_end()
    checked(run, started=2)


@pytest.mark.parametrize("away_s", [0.0, pytest.param(20.0, marks=pytest.mark.chaos)])
def test_a_reboot(stage: Stage, away_s: float) -> None:
    """A machine that goes down takes its rank along: lost (rebooted); its log up to there is kept."""
    run = stage.submit(UNTIL_RELEASED, nodes=2)
    run.grown(1, by=3000)
    stage.lab.faults.power_off("lab2")
    pause(away_s)
    if away_s > 0:
        assert run.record.status == "Running"
    stage.lab.faults.power_on("lab2")
    run.wait_end(limit_s=120)
    record = run.record
    assert record.status == "Failed"
    assert record.failure is not None
    assert record.failure["summary"].startswith("rank_1 on lab2 failed first: lost (rebooted)"), record.failure[
        "summary"
    ]
    checked(run, "Failed", started=2)
    assert run.run.driver_log(1).read_bytes().startswith(b"\n1 \n2 2 \n3 3 3 \n")


def test_a_node_that_stays_out_of_reach(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person's own limit: behind it the node is given up, named with the limit, and the rest of the run ends."""
    monkeypatch.setenv(settings.CONTACT_LIMIT_S, "3")
    run = stage.submit(UNTIL_RELEASED, nodes=2)
    run.grown(1, by=3000)
    stage.lab.faults.cut("lab2")
    run.wait_end(limit_s=90)
    failure = run.record.failure
    assert failure is not None
    assert failure["summary"].startswith(
        "rank_1 on lab2 failed first: lost: its node was out of reach for more than 3 s (RUNNER_CONTACT_LIMIT_SECONDS)"
    )
    assert run.run.driver_log(1).read_bytes().startswith(b"\n1 \n2 2 \n3 3 3 \n")
    stage.lab.faults.heal("lab2")
    stage.lab.faults.reboot("lab2")


def test_a_node_whose_files_are_wiped(stage: Stage) -> None:
    """Somebody empties the home under a running job: the run ends as Failed, says so, and nothing goes on there."""
    run = stage.submit(UNTIL_RELEASED, nodes=2)
    run.grown(1, by=3000)
    stage.lab.faults.wipe("lab2")
    run.kill("agent", 1)
    run.wait_end(limit_s=120)
    record = run.record
    assert record.status == "Failed"
    assert record.failure is not None
    assert "lab2" in record.failure["summary"]
    wait_until(lambda: not stage.lab["lab2"].processes(), limit_s=20, what="the end of what runs on lab2")


def test_two_runs_and_two_controllers_at_once(stage: Stage) -> None:
    """Two runs share the hosts and do not know each other; of two controllers of one run the second leaves (F45)."""
    first, second = (stage.submit(UNTIL_RELEASED, nodes=2) for _ in range(2))
    first.grown(1)
    second.grown(1)
    rival = stage.popen("controller", first.run_id)
    assert rival.wait(timeout=20) == 0
    for run in (first, second):
        run.release()
        run.wait_end()
    for run in (first, second):
        assert run.record.status == "Completed"
    checked(first, started=2)
    checked(second, started=2)


def _scripts(stage: Stage, host: str) -> list[list[str]]:
    return [argv for _, argv in stage.lab[host].processes() if argv and argv[-1].endswith("job.py")]
