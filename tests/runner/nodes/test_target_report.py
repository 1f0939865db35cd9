"""What nodes said of themselves and of each other is judged: nothing is asked here."""

from __future__ import annotations

from typing import Any

from runner.errors import MachineError
from runner.nodes.finding import Level
from runner.nodes.target_report import NodeReport, judge
from runner.spec.compute import SshNode
from runner.transports.ssh.examining import Examined
from runner.transports.ssh.landing import Landing


def node(name: str, *, mpi: str | None = "MPICH 4.2.2", reaches: dict[str, list[str]], **changes: Any) -> Examined:
    landing = Landing(
        python_version=(3, 11, 2),
        executable="/usr/bin/python3",
        machine="x86_64",
        libc="glibc 2.36",
        home="/home/lab",
        user="lab",
        uid=1500,
        hostname=name,
        boot_id="",
        peer_address=f"10.0.0.{name}",
        work="/home/lab/.runner-node",
        bundle="",
        is_shipped=False,
        extras=("psutil",),
        notes=(),
    )
    finding = {"name": "MPI", "level": "ok", "brief": str(mpi), "detail": str(mpi), "hint": None, "facts": {"mpi": mpi}}
    failed = {other: {"10.0.0.9": "Connection refused"} for other, ips in reaches.items() if not ips}
    values: dict[str, Any] = {
        "landing": landing,
        "report": {"findings": [finding], "port": 1, "addresses": [f"10.0.0.{name}", "172.17.0.1"], "networks": {}},
        "met": {"reached": reaches, "failed": failed},
        "clock_offset_ns": 0,
        "round_trip_ns": 1000,
    }
    return Examined(node=SshNode(address=name, name=name), **{**values, **changes})


def three(**changes: Any) -> list[Examined]:
    names = ("1", "2", "3")
    return [
        node(name, reaches={other: [f"10.0.0.{other}"] for other in names if other != name}, **changes)
        for name in names
    ]


def level(report: NodeReport, name: str) -> Level:
    finding = report.find(name)
    assert finding is not None
    return finding.level


def test_nodes_that_are_alike_and_meet_are_usable() -> None:
    """Where all is well every level is ok, and the address is one at which all others reach the node."""
    reports = judge(three())
    assert all(report.is_usable for report in reports)
    assert [report.find("address").brief for report in reports] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]  # type: ignore[union-attr]


def test_odd_mpi_is_named() -> None:
    """The node whose MPI is another than that of most is warned of, and it alone."""
    found = three()
    found[1] = node("2", mpi="Open MPI 4.1.4", reaches=dict(found[1].met["reached"]))  # type: ignore[index]
    reports = judge(found)
    assert [level(report, "MPI") for report in reports] == [Level.OK, Level.WARN, Level.OK]
    assert "2 of 3 nodes have MPICH 4.2.2" in reports[1].find("MPI").detail  # type: ignore[union-attr]


def test_pair_that_cannot_meet_is_named() -> None:
    """A node that cannot reach another fails with what was tried; the one that nobody reaches fails too."""
    found = three()
    found[0] = node("1", reaches={"2": ["10.0.0.2"], "3": []})
    reports = judge(found)
    assert "1 cannot reach 3 (10.0.0.9: Connection refused)" in reports[0].find("address").detail  # type: ignore[union-attr]
    assert "3 is not reached by 1" in reports[2].find("address").detail  # type: ignore[union-attr]
    assert [report.is_usable for report in reports] == [False, True, False]


def test_clock_that_is_off_is_a_warning() -> None:
    """More than a second is a warning, with its sign; half the round trip is the measurement's own error."""
    off = three(clock_offset_ns=-1_600_000_000, round_trip_ns=2_000_000)
    assert level(judge(off)[0], "clock") is Level.WARN and judge(off)[0].find("clock").brief == "-1600.0 ms"  # type: ignore[union-attr]
    assert level(judge(three(clock_offset_ns=1_600_000_000, round_trip_ns=2_000_000_000))[0], "clock") is Level.OK


def test_step_that_failed_is_told_from_those_before_it() -> None:
    """A refused login means that the node was reached and its key is known; a hint goes with the failure."""
    error = MachineError("2: the login was refused", hint="ssh-add the key")
    error.step = "login"
    found = [*three()[:1], Examined(node=SshNode(address="2", name="2"), problem=error)]
    report = judge(found)[1]
    assert [(finding.name, finding.level.value) for finding in report.findings] == [
        ("reached", "ok"),
        ("host key", "ok"),
        ("login", "fail"),
    ]
    assert report.findings[-1].hint == "ssh-add the key"
