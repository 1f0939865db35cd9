"""What a person is told while nodes are out of reach, and how runs end without them."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest

from sidecar.contract import lock
from tests.faults.lab import wait_until
from tests.lab.options import HostOptions
from tests.lab.users import GUEST_PASSWORD
from tests.network.person import Person, person

__all__ = ["person"]

pytestmark = pytest.mark.lab

LONG = "import time\nprint('here', flush=True)\ntime.sleep(600)\n"
LOST = re.compile(r"lab2: contact lost since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC \(\d+ s ago\): \w")


@pytest.mark.lab(hosts=2)
def test_cut_node_is_told_and_never_failed(person: Person) -> None:
    """Status, ps and attach say since when and why lab2 is out of reach, and that it answers again."""
    run = person.submit(LONG, nodes=2)
    watching = person.start("attach", run.root.name)
    person.lab.faults.cut("lab2")
    wait_until(lambda: run.node_contact("lab2").exists(), limit_s=30.0, what="a lost contact")
    assert watching.stderr is not None and any(LOST.search(line) for line in watching.stderr)
    status = person.type("status", "last").stdout
    assert LOST.search(status) and "status     Running" in status and "lab1: contact" not in status
    found = person.ask("status", "last")
    assert found["contact_lost"].keys() == {"lab2"} and found["contact_lost"]["lab2"].keys() == {"since", "problem"}
    assert [row["contact_lost"] is None for row in person.ask("ps", "last")] == [True, False]
    assert LOST.search(person.type("ps", "last").stderr)
    person.lab.faults.heal("lab2")
    wait_until(lambda: not run.node_contact("lab2").exists(), limit_s=40.0, what="the node's answer")
    assert person.type("cancel", "last").returncode == 0
    _, words = watching.communicate(timeout=30)
    assert watching.returncode == 103 and "lab2: answers again" in words


@pytest.mark.lab(hosts=2)
def test_cancel_gives_up_waiting_and_can_abandon(person: Person) -> None:
    """Cancel names the node that it cannot reach and exits with 3; with --abandon the run ends without it."""
    run = person.submit(LONG, nodes=2)
    person.lab.faults.cut("lab2")
    done = person.type("cancel", "last")
    assert done.returncode == 3 and LOST.search(done.stderr)
    assert "stopped as soon as they answer" in done.stderr and "--abandon" in done.stderr
    assert person.ask("status", "last")["status"] == "CancelRequested"
    done = person.type("cancel", "last", "--abandon")
    assert done.returncode == 0 and f"{run.root.name}: Canceled" in done.stdout
    assert "lab2: no census" in done.stdout and "may go on" in done.stderr
    assert [process["status"] for process in person.ask("ps", "last")] == ["Terminated", "Unknown"]


@pytest.mark.lab(hosts=2)
def test_failed_run_shows_the_clocks(person: Person) -> None:
    """Where failures of several nodes are compared, status shows what the clocks were found to be off."""
    script = "import os, sys, time\ntime.sleep(1.5)\nsys.exit(7 if os.environ['RANK'] == '1' else time.sleep(60))\n"
    assert person.type("submit", person.config(script, nodes=2), "--show-output").returncode == 100
    offsets = person.ask("status", "last")["failure"]["clock_offsets_ms"]
    assert offsets.keys() == {"lab1", "lab2"} and all(abs(offset) < 50 for offset in offsets.values())
    assert re.search(r"clocks +lab1 [+-]\d+\.\d ms, lab2 [+-]\d+\.\d ms", person.type("status", "last").stdout)


NO_PYTHON = HostOptions(hidden=("/usr/bin/python3", "/usr/bin/python3.11"))
SMALL = HostOptions(home_size_bytes=32 * 1024 * 1024)
FAULTS = {
    "host key": ("the host key of", "runner compute trust lab"),
    "login": ("refused the login", "ssh-add the key"),
    "disk": ("No space left on device", "free some space there"),
    "port": ("cannot connect to", "is the machine up"),
}
# What may pass by itself is tried again for a minute.
PASSING = [pytest.param(fault, marks=pytest.mark.chaos) for fault in ("disk", "port")]


@pytest.mark.parametrize("fault", ["host key", "login", *PASSING])
@pytest.mark.lab(hosts=[HostOptions(), SMALL])
def test_node_that_cannot_be_secured_is_one_clear_line(person: Person, fault: str) -> None:
    """Each says the node, what and why, and what to try: in 55_, in status, on the screen; exit code 3."""
    hurt(person, fault)
    check_one_line(person, *FAULTS[fault])


@pytest.mark.lab(hosts=[HostOptions(), NO_PYTHON])
def test_node_without_python_is_one_clear_line(person: Person) -> None:
    """A node where no Python can be started is told in the same way."""
    check_one_line(person, "the node has no Python 3.9 or newer", "install one")


def check_one_line(person: Person, why: str, remedy: str) -> None:
    """A run on both nodes fails because of lab2, and everywhere it says so."""
    done = person.type("submit", person.config(LONG, nodes=2), "--show-output", limit_s=120)
    assert done.returncode == 3
    run = person.workspace.run(person.ask("status", "last")["run_id"])
    lines = [line for line in run.execution_log("lab2").read_text().splitlines() if "Not secured: lab2: " in line]
    assert len(lines) == 1 and why in lines[0] and remedy in lines[0]
    for text in (done.stdout, person.type("status", "last").stdout):
        assert "secure on lab2 failed: " in text and why in text and remedy in text


def hurt(person: Person, fault: str) -> None:
    """Takes from lab2 what the fault is called after."""
    if fault == "host key":
        person.lab.faults.change_host_keys("lab2")
    elif fault == "login":
        (person.lab["lab2"].folder / "ssh/authorized_keys/lab").write_text("")
    elif fault == "disk":
        person.lab.faults.fill_disk("lab2")
    else:
        person.lab.faults.stop_sshd("lab2")


@pytest.mark.lab(hosts=1)
def test_password_reaches_the_controller_and_stays_there(person: Person) -> None:
    """The password is in no argument, variable or file; when its controller was killed, the run asks for it."""
    person.attach("lab", username="guest", private_key_file=None)
    done = person.type_secretly(GUEST_PASSWORD, "submit", person.config(LONG))
    assert done.returncode == 0, done.stderr
    run = person.workspace.run(person.ask("status", "last")["run_id"])
    person.wait_status(run, "Running")
    controller = lock.holder(run.controller_lock)
    assert controller is not None
    for name in ("cmdline", "environ"):
        assert GUEST_PASSWORD.encode() not in Path(f"/proc/{controller.pid}/{name}").read_bytes()
    assert not [path for path in person.folder.rglob("*") if path.is_file() and GUEST_PASSWORD in read(path)]
    os.kill(controller.pid, signal.SIGKILL)
    wait_until(lambda: lock.holder(run.controller_lock) is None, limit_s=10.0, what="the controller's end")
    told = person.type("status", "last")
    assert f"runner attach --ask-password {run.root.name}" in told.stdout and "needs the password" in told.stderr
    assert "status     Running" in told.stdout and lock.holder(run.controller_lock) is None
    assert person.type("attach", "last").returncode == 2
    canceled = person.type_secretly(GUEST_PASSWORD, "cancel", "last")
    assert canceled.returncode == 0 and "lab1: 0 processes" in canceled.stdout


def read(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace")


@pytest.mark.lab(hosts=1)
def test_controller_without_the_right_password_is_replaced(person: Person) -> None:
    """A wrong password at attach shows as lost contact, and another attach with the right one takes over."""
    person.attach("lab", username="guest", private_key_file=None)
    assert person.type_secretly(GUEST_PASSWORD, "submit", person.config(LONG)).returncode == 0
    run = person.workspace.run(person.ask("status", "last")["run_id"])
    person.wait_status(run, "Running")
    controller = lock.holder(run.controller_lock)
    assert controller is not None
    os.kill(controller.pid, signal.SIGKILL)
    with pytest.raises(Exception, match="timed out"):
        person.type_secretly("wrong", "attach", "last", limit_s=6.0)
    wait_until(lambda: run.node_contact("lab1").exists(), limit_s=20.0, what="a refusal")
    told = person.type("status", "last").stdout
    assert "refused the login" in told and "runner attach --ask-password" in told and "Running" in told
    done = person.type_secretly(GUEST_PASSWORD, "cancel", "last")
    assert done.returncode == 0 and json.loads(run.record.read_text())["status"] == "Canceled"
