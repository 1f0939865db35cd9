"""What must hold after every fault (the reference's fault catalogue, section 4, I1 to I7)."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

from runner.following import exit_code
from runner.history.run_record import RunRecord
from sidecar import processes
from sidecar.contract import publish
from sidecar.contract.layout import EVERY_PROCESS, STATE
from tests.faults.lab import Victim, pause

_EXIT_CODES = {"Completed": 0, "Failed": 100, "Canceled": 103}
_CLOSING_WORDS = {"Completed": "Completed", "Failed": "Failed", "Canceled": "Terminated"}


def checked(victim: Victim, status: str = "Completed", *, started: int | None = None) -> RunRecord:
    """Asserts every invariant of a run that has ended, as `status`; returns its record.

    `started` is the number of user processes that must have been started, where the case knows it.
    """
    record = victim.record
    assert record.status == status, f"{record.status}: {record.failure and record.failure['summary']}"
    check_journal(victim, status, started)
    check_logs(victim)
    check_nothing_left(victim)
    check_no_strays(victim)
    check_manifest(victim)
    check_failure(victim, record)
    return record


def whole_lines(path: Path) -> list[dict[str, Any]]:
    """Every JSON line of a file in which no line may be torn or broken."""
    content = path.read_bytes() if path.exists() else b""
    assert content == b"" or content.endswith(b"\n"), f"{path} ends in a torn line"
    return [json.loads(line) for line in content.splitlines()]


def check_journal(victim: Victim, status: str, wanted: int | None) -> None:
    """I3: every process started once and ended once; the last line closes the run in its status."""
    lines = whole_lines(victim.run.process_status)
    told = [line for line in lines if line["process_name"] != EVERY_PROCESS]
    started = Counter(line["process_name"] for line in told if line["status"] == "Started")
    ended = Counter(line["process_name"] for line in told if line["status"] != "Started")
    assert set(started.values()) <= {1}, f"started twice: {started}"
    assert set(ended.values()) <= {1}, f"ended twice: {ended}"
    assert started.keys() <= ended.keys(), f"no end is known of {started.keys() - ended.keys()}"
    assert (lines[-1]["process_name"], lines[-1]["status"]) == (EVERY_PROCESS, _CLOSING_WORDS[status])
    assert wanted is None or len(started) == wanted, f"started: {sorted(started)}"
    infos = whole_lines(victim.run.process_info)
    assert sorted(info["process_name"] for info in infos) == sorted(started)


def check_logs(victim: Victim) -> None:
    """I1, I2: every log holds what its process says it wrote, byte by byte."""
    completed = {
        line["process_name"] for line in whole_lines(victim.run.process_status) if line["status"] == "Completed"
    }
    for info in whole_lines(victim.run.process_info):
        twin = victim.run.outputs / f"said-{info['process_name']}"
        if not twin.exists():
            continue
        log, said = (victim.run.root / info["log"]).read_bytes(), twin.read_bytes()
        assert log.startswith(said), f"{info['log']} lost bytes: {len(log)} of {len(said)}"
        assert log == said or info["process_name"] not in completed, f"{info['log']} has bytes that nobody wrote"


def nothing_runs(victim: Victim) -> None:
    """I4: no process of the run is left, the runner's own included."""
    # A controller sets the final status a moment before it ends.
    deadline = time.monotonic() + 10
    while (left := victim.left()) and time.monotonic() < deadline:
        pause(0.01)
    assert [processes.command_line(pid) for pid in left] == []


def check_nothing_left(victim: Victim) -> None:
    """I4: no process of the run, no node folder."""
    nothing_runs(victim)
    for number, node_id in enumerate(victim.record.nodes):
        folder = victim.node(number).root
        assert not folder.exists(), f"{node_id} left {sorted(os.listdir(folder))}"


def check_no_strays(victim: Victim) -> None:
    """I4: no temporary file in the run, none in the workspace."""
    files = [path for path in victim.run.root.rglob("*") if path.name.endswith(".tmp")]
    assert files == [], "left behind by a killed process"
    assert list(victim.workspace.nodes.glob(f"*/*{victim.run_id}*")) == []


def check_manifest(victim: Victim) -> None:
    """I2: the seal names every file with its true size and sha256."""
    root = victim.run.root
    listed = {entry["path"]: entry for entry in json.loads(victim.run.manifest.read_bytes())["files"]}
    present = {
        str(path.relative_to(root))
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink() and path.relative_to(root).parts[0] != STATE
    }
    assert listed.keys() == present - {str(path.relative_to(root)) for path in (victim.run.record, victim.run.manifest)}
    for path, entry in listed.items():
        content = (root / path).read_bytes()
        assert (entry["size_bytes"], entry["sha256"]) == (len(content), hashlib.sha256(content).hexdigest()), path


def check_failure(victim: Victim, record: RunRecord) -> None:
    """I6, I7: a failed run names its cause, in the record and in failure.json; the exit code says the same."""
    stored = publish.read_record(victim.run.failure)
    if record.status == "Failed":
        assert record.failure is not None and record.failure["summary"]
        assert stored == record.failure
        assert exit_code(record) in (100, 3)
    else:
        assert record.failure is None and stored is None
        assert exit_code(record) == _EXIT_CODES[record.status.value]
