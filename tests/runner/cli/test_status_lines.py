"""What `runner status` says of nodes, and of a phase that failed."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from runner.cli.status import describe
from runner.history.failure import phase_failure
from runner.history.run_record import RunRecord, iso_utc
from runner.history.status import RunStatus
from runner.nodes.contact import LostContact
from sidecar.contract.layout import RunLayout

NOW = datetime(2026, 11, 21, 8, 41, tzinfo=timezone.utc)


def lines(tmp_path: Path, lost: dict[str, LostContact] | None = None, **changes: Any) -> list[str]:
    values = {"status": RunStatus.RUNNING, "nodes": ("lab1", "lab2"), "start_time_utc": iso_utc(NOW), **changes}
    record = RunRecord(run_id="x_1_00000000", experiment_name="x", created_utc=iso_utc(NOW), **values)
    return list(describe(RunLayout(tmp_path), record, [], lost or {}, now=NOW, is_coloured=False))


def test_lost_contact_is_one_line_a_node(tmp_path: Path) -> None:
    """A node out of reach has one line, harmless on a terminal, and the run is as it was."""
    lost = LostContact(lost_at=(NOW - timedelta(seconds=59)).timestamp(), problem="lab2: \x1b[2Jgone\nfor good")
    found = lines(tmp_path, {"lab2": lost})
    assert [line for line in found if "contact lost" in line] == [
        "           lab2: contact lost since 2026-11-21 08:40:01 UTC (59 s ago): gone for good"
    ]
    assert "status     Running since 2026-11-21 08:41:00 UTC (0 s ago)" in found


def test_refused_login_says_how_to_give_a_password(tmp_path: Path) -> None:
    """Where a login is refused, the next thing to type gives the controller a password."""
    lost = LostContact(lost_at=NOW.timestamp(), problem="lab2: me@lab2 refused the login; tried nothing")
    assert "next       runner attach --ask-password x_1_00000000" in lines(tmp_path, {"lab2": lost})


def test_phase_failure_names_node_reason_and_remedy(tmp_path: Path) -> None:
    """The node's name stands once in the summary, and the error's own hint below it."""
    failure = phase_failure("secure", "lab2", "lab2: cannot connect: no route", at_ns=0)
    failure["first"]["hint"] = "is the machine up?"
    found = lines(tmp_path, status=RunStatus.FAILED, failure=failure)
    assert "first failure  secure on lab2 failed: cannot connect: no route" in found
    assert "  try      is the machine up?" in found


def test_clocks_are_shown_where_several_were_compared(tmp_path: Path) -> None:
    """With one node there was nothing to compare."""
    failure = phase_failure("secure", "lab2", "x", at_ns=0)
    offsets = {"lab2": -1204.02, "lab1": 0.3}
    found = lines(tmp_path, status=RunStatus.FAILED, failure={**failure, "clock_offsets_ms": offsets})
    assert any("clocks   lab1 +0.3 ms, lab2 -1204.0 ms against this machine" in line for line in found)
    found = lines(tmp_path, status=RunStatus.FAILED, failure={**failure, "clock_offsets_ms": {"lab2": 5.0}})
    assert not any(line.startswith("  clocks") for line in found)
