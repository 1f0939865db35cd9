"""`runner doctor NAME`: every node at once, every pair, and each failure with its reason and what to try."""

from __future__ import annotations

import re
import time

import pytest

from tests.lab.options import HostOptions
from tests.lab.users import GUEST_PASSWORD
from tests.network.person import Person, person

__all__ = ["person"]

pytestmark = pytest.mark.lab

TRAPS = HostOptions(has_loopback_name=True, has_docker_bridge=True)
NO_PYTHON = HostOptions(hidden=("/usr/bin/python3", "/usr/bin/python3.11"))


@pytest.mark.lab(hosts=[TRAPS, TRAPS, HostOptions()])
def test_healthy_nodes_find_each_other_behind_the_traps(person: Person) -> None:
    """With docker0 and 127.0.1.1 in the way each node has one address at which all others reach it; exit 0."""
    found = person.ask("doctor", "lab")
    assert found["is_usable"]
    for node, host in zip(found["nodes"], person.lab, strict=True):
        findings = node["findings"]
        assert f"reached by all others at {host.address}" in findings["address"]["detail"]
        assert {"reached", "host key", "login", "python", "MPI", "clock", "disk", "inodes"} < findings.keys()
        assert {"memory", "/dev/shm", "GPUs", "extras", "exec"} < findings.keys()
        assert "uid 1500" in findings["login"]["detail"] and findings["clock"]["level"] == "ok"
        assert "ms against this machine" in findings["clock"]["detail"]
    table = person.type("doctor", "lab")
    assert table.returncode == 0 and [line.split()[0] for line in table.stdout.splitlines()[:4]] == [
        "Node",
        "lab1",
        "lab2",
        "lab3",
    ]


@pytest.mark.lab(hosts=[HostOptions(), HostOptions(), NO_PYTHON, HostOptions()])
def test_each_failure_is_named_with_what_to_try(person: Person) -> None:
    """A changed key, a missing Python and a host that is off each show their step, reason and hint."""
    person.lab.faults.change_host_keys("lab2")
    person.lab.faults.power_off("lab4")
    done = person.type("doctor", "lab")
    assert done.returncode == 3
    for expected in (
        "fail  lab2: host key: the host key of",
        "runner compute trust lab",
        "fail  lab3: python:",
        "fail  lab4: reached: cannot connect to",
    ):
        assert expected in done.stdout
    assert "lab1  yes      known     lab" in done.stdout


@pytest.mark.lab(hosts=3)
def test_pair_that_cannot_reach_each_other_is_named(person: Person) -> None:
    """One host that drops what another sends it: the pair is named, and no run on all of them could start."""
    person.lab.faults.cut("lab2", peer="lab3")
    done = person.type("doctor", "lab")
    assert done.returncode == 3
    assert "lab2 cannot reach lab3" in done.stdout and "lab3 cannot reach lab2" in done.stdout
    assert "lab1 cannot" not in done.stdout


@pytest.mark.lab(hosts=3)
def test_slow_node_holds_nobody_up(person: Person) -> None:
    """A host that hangs after it has taken the connection ends within the limit, beside the others' answers."""
    person.lab.faults.freeze("lab2")
    started = time.monotonic()
    done = person.type("doctor", "lab")
    assert done.returncode == 3 and time.monotonic() - started < 60
    assert "fail  lab2: reached:" in done.stdout and "reached by all" not in done.stdout
    assert all(f"{name}  yes" in done.stdout for name in ("lab1", "lab3"))


@pytest.mark.lab(hosts=[HostOptions(), HostOptions(rootfs="bullseye"), HostOptions()])
def test_odd_mpi_is_a_warning(person: Person) -> None:
    """A node with another MPI than most, or none, is warned of by name; a run could start all the same."""
    found = {node["node"]: node["findings"]["MPI"] for node in person.ask("doctor", "lab")["nodes"]}
    assert [finding["level"] for finding in found.values()] == ["ok", "warn", "ok"]
    assert "2 of 3 nodes have Open MPI" in found["lab2"]["detail"]


@pytest.mark.lab(hosts=[HostOptions(home_size_bytes=32 * 1024 * 1024), HostOptions()])
def test_full_disk_fails(person: Person) -> None:
    """A home without room is named with the place, before anything could be shipped there."""
    person.lab.faults.fill_disk("lab1")
    done = person.type("doctor", "lab")
    assert done.returncode == 3
    assert re.search(r"fail  lab1: disk: .*No space left on device", done.stdout), done.stdout
    assert "try: free some space there" in done.stdout


@pytest.mark.lab(hosts=1)
def test_password_login(person: Person) -> None:
    """A login by password is refused with a hint, and works with the password from a descriptor."""
    person.attach("guests", username="guest", private_key_file=None)
    refused = person.type("doctor", "guests")
    assert refused.returncode == 3 and "fail  lab1: login:" in refused.stdout
    done = person.type_secretly(GUEST_PASSWORD, "doctor", "guests")
    assert "guest (1501)" in done.stdout and GUEST_PASSWORD not in done.stdout + done.stderr


@pytest.mark.lab(hosts=1)
def test_unknown_target_and_this_machine(person: Person) -> None:
    """A name that is no target is wrong usage; without a name it is this machine that is looked at."""
    assert person.type("doctor", "no-such").returncode == 2
    assert {"python", "disk"} <= {row["name"] for row in person.ask("doctor")}
