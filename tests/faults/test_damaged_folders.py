"""Somebody removes what the runner keeps while a job runs: the run ends all the same, as what it was, and says why."""

from __future__ import annotations

import os
import shutil

import pytest

from sidecar.contract import publish
from tests.faults.lab import Lab, Victim, wait_until

_LONG = "import time\nprint('up', flush=True)\ntime.sleep(600)\n"
# Goes on once its file `go` is there.
_UNTIL_GO = """import os, time
print('up', flush=True)
while not os.path.exists('go'): time.sleep(0.01)
open('outputs/done', 'w').write('1')
"""


def _damage(run: Victim, what: str) -> None:
    node = run.node()
    if what == "events cut":
        os.truncate(node.events, 0)
    else:
        (node.events if what == "events" else node.plan).unlink()


@pytest.mark.parametrize("what", ["events", "events cut", "plan"])
def test_a_node_that_lost_what_it_knew(lab: Lab, what: str) -> None:
    """The run fails and says what is gone; nothing of it runs on."""
    run = lab.submit(_LONG)
    run.wait_log(b"up")
    _damage(run, what)
    record = run.wait_end(resumes=False)
    assert (record.status, len(run.started())) == ("Failed", 1)
    assert record.failure is not None
    assert "main on local-0 failed first: lost: its node lost what it kept of the run" in record.failure["summary"]
    assert [pid for pid in run.left() if pid != _controller_pid(run)] == []


def test_a_cancel_of_a_node_that_lost_what_it_knew(lab: Lab) -> None:
    """Asked for before or after the loss is seen, the cancel comes to its end."""
    run = lab.submit(_LONG)
    run.wait_log(b"up")
    _damage(run, "events")
    assert run.cancel().status in ("Canceled", "Failed")


def test_start_tokens_that_are_removed(lab: Lab) -> None:
    """A process whose records are gone is not started again, whoever supervises it, and its end is told."""
    run = lab.submit(_UNTIL_GO)
    run.wait_log(b"up")
    shutil.rmtree(run.node().processes)
    run.kill("supervisor")
    (run.node().work / "go").touch()
    record = run.wait_end(resumes=False)
    assert (record.status, run.run.driver_log(None).read_bytes()) == ("Completed", b"up\n")
    assert len([record for record in run.events() if record["event"] == "started"]) == 1


def test_a_log_folder_that_is_removed(lab: Lab) -> None:
    """The controller goes on, and the files that name the processes are whole again."""
    run = lab.submit(_UNTIL_GO)
    run.wait_log(b"up")
    shutil.rmtree(run.run.azureml_logs)
    (run.node().work / "go").touch()
    record = run.wait_end(resumes=False)
    assert record.status == "Completed"
    assert (run.run.outputs / "done").exists()
    assert run.run.driver_log(None).read_bytes() == b"up\n"
    assert [line["process_name"] for line in publish.read_records(run.run.process_info)] == ["main"]
    told = [line["status"] for line in publish.read_records(run.run.process_status)]
    assert told == ["Started", "Completed", "Completed"]


def test_what_controllers_keep_is_removed(lab: Lab) -> None:
    """The one controller begins anew and hears all again from the nodes; nobody starts a second one beside it."""
    run = lab.submit(_UNTIL_GO)
    run.wait_log(b"up")
    controller = _controller_pid(run)
    shutil.rmtree(run.run.state)
    assert not run.resume()
    wait_until(lambda: _controller_pid(run) == controller, what="the controller's new lock")
    (run.node().work / "go").touch()
    record = run.wait_end(resumes=False)
    assert (record.status, len(run.started())) == ("Completed", 1)
    assert run.run.driver_log(None).read_bytes() == b"up\n"
    assert [str(run.run.state) in warning for warning in record.warnings] == [True]


def test_a_cancel_after_what_controllers_keep_is_removed(lab: Lab) -> None:
    """Also one that is asked for before the controller has noticed."""
    run = lab.submit(_LONG)
    run.wait_log(b"up")
    shutil.rmtree(run.run.state)
    assert run.cancel().status == "Canceled"
    assert [pid for pid in run.left() if pid != _controller_pid(run)] == []


def test_all_that_is_known_of_a_job_is_removed(lab: Lab) -> None:
    """Neither here nor on the node is anything left: the run fails, and is not started a second time."""
    run = lab.submit(_LONG)
    run.wait_log(b"up")
    run.kill("controller")
    shutil.rmtree(run.run.state)
    shutil.rmtree(run.node().root)
    record = run.wait_end()
    assert record.status == "Failed"
    assert run.run.driver_log(None).read_bytes() == b"up\n"


def _controller_pid(run: Victim) -> int | None:
    found = run.controller()
    return found.pid if found is not None else None
