"""The supervisor killed where it hurts most (F4, F24), and at chosen system calls (F18)."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from sidecar.contract import events, publish
from sidecar.contract.orders import Verb
from tests.doubles.node_lab import node_lab, wait_until
from tests.faults.lab import pause

_DEAF = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"


def test_a_stop_outlives_the_supervisor(tmp_path: Path) -> None:
    """Killed during the grace of a stop, the next one goes on with it: a process that ignores TERM is killed."""
    with node_lab(tmp_path) as lab:
        lab.start_python(_DEAF)
        lab.wait_started()
        wait_until(lambda: lab.log() == b"up\n", what="a process that ignores TERM")
        lab.order(Verb.STOP, reason="cancel", grace_s=1.0)
        wait_until(lambda: len(lab.events(events.ORDERED)) == 2, what="the stop")
        lab.kill_supervisor()
        lab.supervise()
        lab.wait_ended(limit_s=10)
        assert lab.exits()["main"]["signal"] == "SIGKILL"
        assert [record["reason"] for record in lab.events(events.STOPPING)] == ["cancel"]


def test_nothing_is_started_after_a_stop_that_an_earlier_supervisor_made(tmp_path: Path) -> None:
    """A start order that comes after the stop starts nothing, whoever reads it."""
    with node_lab(tmp_path) as lab:
        lab.order(Verb.STOP, reason="cancel", grace_s=0.1)
        wait_until(lambda: bool(lab.events(events.STOPPED)), what="the stop")
        lab.kill_supervisor()
        lab.supervise()
        lab.start_python("print('started all the same')")
        wait_until(lambda: len(lab.events(events.ORDERED)) == 2, what="the order read")
        pause(0.5)
        assert lab.events(events.STARTED) == []


def test_a_start_lost_with_its_wrapper_is_made_again(tmp_path: Path) -> None:
    """Supervisor and wrapper killed before the start token was written: the next supervisor starts it, once."""
    with node_lab(tmp_path) as lab:
        os.kill(lab.supervisor_pid, signal.SIGSTOP)
        lab.start_python("print('started once')")
        # What a supervisor leaves that dies with its wrapper between the fork and the token.
        events.append(lab.node.events, events.ORDERED, order="30-start")
        lab.kill_supervisor()
        lab.supervise()
        lab.wait_ended(limit_s=10)
        assert lab.log() == b"started once\n"
        assert len(lab.events(events.STARTED)) == 1


def test_a_torn_event_swallows_no_other(tmp_path: Path) -> None:
    """Half an event, as a full disk or a kill leaves it, does not take the next one with it."""
    with node_lab(tmp_path) as lab:
        with open(lab.node.events, "ab") as stream:
            stream.write(b'{"event":"star')
        events.append(lab.node.events, events.RESUMED, process="main", state="R")
        assert publish.read_records(lab.node.events)[-1]["event"] == events.RESUMED
