"""What must hold after every run over a network, whatever happened to it on the way."""

from __future__ import annotations

import hashlib
import json

from runner.history.run_record import RunRecord
from tests.faults.invariants import check_failure, check_journal, check_manifest, nothing_runs, whole_lines
from tests.faults.lab import wait_until
from tests.lab.host import Host
from tests.network.stage import NODE_WORK, NetworkRun


def checked(run: NetworkRun, status: str = "Completed", *, started: int | None = None) -> RunRecord:
    """Asserts every invariant of a run that has ended, as `status`; returns its record.

    `started` is the number of user processes that must have been started, where the case knows it.
    """
    record = run.record
    assert record.status == status, f"{record.status}: {record.failure and record.failure['summary']}"
    assert not record.warnings, record.warnings
    check_journal(run, status, started)
    logs_are_whole(run)
    nothing_runs(run)
    for host in run.hosts:
        nothing_left_on(run, host)
    nothing_left_here(run)
    check_manifest(run)
    check_failure(run, record)
    return record


def logs_are_whole(run: NetworkRun) -> None:
    """Every log of a process that came to its end is, byte by byte, what the process hashed while it wrote."""
    completed = [line["process_name"] for line in whole_lines(run.run.process_status) if line["status"] == "Completed"]
    infos = {info["process_name"]: info for info in whole_lines(run.run.process_info)}
    for name in completed:
        if name not in infos:
            continue
        told = run.run.outputs / f"said-{name}.json"
        assert told.exists(), f"{name} completed, and {told} has not come"
        said = json.loads(told.read_bytes())
        log = (run.run.root / infos[name]["log"]).read_bytes()
        assert (len(log), hashlib.sha256(log).hexdigest()) == (said["size"], said["sha256"]), infos[name]["log"]


def nothing_left_on(run: NetworkRun, host: Host) -> None:
    """No process of the user on the host, and no folder of the run."""
    wait_until(lambda: not host.processes(), limit_s=15, what=f"the end of {host.processes()} on {host.name}")
    work = host.path(NODE_WORK)
    left = [str(path) for path in work.rglob(f"*{run.run_id}*")]
    assert left == [], f"{host.name} keeps files of the run"
    assert [str(path) for path in work.rglob("*.part")] == [], f"{host.name} keeps half a content"


def nothing_left_here(run: NetworkRun) -> None:
    """No temporary file in the run's folder, and nobody is said to be out of reach."""
    assert [str(path) for path in run.run.root.rglob("*.tmp")] == []
    assert [path.name for path in run.run.state.rglob("*.contact.json")] == []
