"""Hosts are what their users take them for, and leave nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.laboratory import Laboratory

pytestmark = pytest.mark.lab


def test_each_host_is_reached_by_key_under_its_own_name(lab: Laboratory) -> None:
    """The submitter's ssh config leads to every host, as a user without root."""
    for host in lab:
        done = lab.submitter.ssh(host, "hostname; id -un; echo $HOME; pwd")
        assert done.stdout.split() == [host.name, "lab", "/home/lab", "/home/lab"], done.stderr


def test_hosts_reach_each_other_by_name(lab: Laboratory) -> None:
    """One host's sshd answers another host."""
    assert "SSH-2.0" in lab[1].run("bash", "-c", "head -c 7 < /dev/tcp/lab1/22")


def test_hosts_share_nothing_that_machines_do_not_share(lab: Laboratory) -> None:
    """Files in /tmp, /dev/shm and the home of one host are not on another, nor here; the checkout is on none."""
    for place in ("/tmp", "/var/tmp", "/dev/shm", "/home/lab"):
        lab[0].run("touch", f"{place}/lab-mark")
        assert not lab[1].path(f"{place}/lab-mark").exists()
        assert not Path(place, "lab-mark").exists()
    checkout = str(Path(__file__).parents[2])
    assert lab[0].run("sh", "-c", 'ls "$1" 2>/dev/null || :', "sh", checkout) == ""
    assert lab[0].run("cat", "/proc/sys/kernel/random/boot_id") != lab[1].run("cat", "/proc/sys/kernel/random/boot_id")


def test_commands_run_on_a_host_without_ssh(lab: Laboratory) -> None:
    """As root or as its user, at the root of the host and not of this machine."""
    assert lab[0].run("pwd") == "/\n"
    assert lab[0].run("sh", "-c", "id -un; echo $HOME; ls home", user="lab").split() == [
        "lab",
        "/home/lab",
        "guest",
        "lab",
    ]


def test_close_leaves_nothing(lab: Laboratory) -> None:
    """No process, no link and no folder is left."""
    inits = [host.running for host in lab]
    lab.close()
    assert not any(init.is_alive for init in inits)
    assert not Path("/sys/class/net", lab.switch.subnet.link).exists()
    assert not lab.folder.exists()
