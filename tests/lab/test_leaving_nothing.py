"""A lab whose process dies is gone with it, and a second process can act on one that stands."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab import laboratory
from tests.lab.laboratory import Laboratory

pytestmark = pytest.mark.lab
ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "tests.lab"]


def wait_until(is_reached: Callable[[], bool], *, what: str, limit_s: float = 10.0) -> None:
    """Waits for a condition, with a limit."""
    deadline = time.monotonic() + limit_s
    while not is_reached():
        assert time.monotonic() < deadline, f"{what} was not reached within {limit_s} s"
        time.sleep(0.01)


@contextlib.contextmanager
def lab_of_another_process() -> Iterator[tuple[subprocess.Popen[str], Laboratory]]:
    """What `make lab` starts, and the same lab seen from here."""
    with subprocess.Popen([*COMMAND, "start", "--hosts", "2"], cwd=ROOT, stdout=subprocess.PIPE, text=True) as started:
        try:
            assert started.stdout is not None
            said = ""
            while "Ctrl-C" not in said:
                line = started.stdout.readline()
                assert line, said
                said += line
            found = re.search(r"ssh -F (\S+)/submitter/", said)
            assert found is not None
            yield started, Laboratory.attach(Path(found[1]))
        finally:
            started.kill()


def act(lab: Laboratory, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of a second terminal."""
    return subprocess.run([*COMMAND, *arguments, "--lab", str(lab.folder)], cwd=ROOT, capture_output=True, text=True)


def test_lab_dies_with_its_process() -> None:
    """After kill -9 no process, no link is left, and the next lab removes the folder."""
    with lab_of_another_process() as (owner, lab):
        processes = [lab.switch.holder, *(host.running for host in lab)]
        sshds = [one.outer_pid for host in lab for one in host.all_processes()]
        owner.kill()
        owner.wait()
        wait_until(lambda: not any(process.is_alive for process in processes), what="the end of the hosts")
        assert not any(Path(f"/proc/{pid}").exists() for pid in sshds)
        wait_until(lambda: not Path("/sys/class/net", lab.switch.subnet.link).exists(), what="the end of the link")
        assert lab.folder in laboratory.sweep()
        assert not lab.folder.exists()


def test_second_terminal_cuts_and_reboots_and_ctrl_c_clears_all() -> None:
    """Faults come from another process; Ctrl-C in the first ends also what the second one started."""
    with lab_of_another_process() as (owner, lab):
        assert act(lab, "cut", "lab2", "in").returncode == 0
        assert lab.submitter.ssh(lab["lab1"], "true").returncode == 0
        assert "-A INPUT -i eth0 -j DROP" in lab["lab2"].in_network("iptables", "-S")
        done = act(lab, "reboot", "lab2")
        assert done.returncode == 0, done.stderr
        again = Laboratory.attach(lab.folder)
        assert again.submitter.ssh(again["lab2"], "hostname").stdout == "lab2\n"
        owner.send_signal(signal.SIGINT)
        assert owner.wait(timeout=20) == 0
        assert not again["lab2"].is_on
        assert not lab.folder.exists()


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["cut", "lab9"], "there are lab1, lab2"),
        (["throttle", "lab1"], "bits_per_second"),
        (["delay", "lab1", "x"], "x"),
    ],
)
def test_wrong_words_are_explained(lab: Laboratory, arguments: list[str], hint: str) -> None:
    """An unknown host, a missing or a silly value end with a sentence."""
    done = act(lab, *arguments)
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert hint in done.stderr


@pytest.mark.lab(hosts=64)
def test_64_hosts_stand_at_once(lab: Laboratory) -> None:
    """As many hosts as a lab may have all answer."""
    for host in lab:
        assert host.listens()
    assert lab.submitter.ssh(lab[63], "hostname").stdout == "lab64\n"
