"""`runner status RUN`: how a run is, and if it failed, which process did so first and why."""

from __future__ import annotations

import dataclasses
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click

from runner.cli import sweep_status
from runner.cli.place import output_option, run_argument, run_here
from runner.cli.table import dump
from runner.cli.tty import bold, complain, is_coloured, red
from runner.errors import MachineError
from runner.history.controller_crash import read_crash
from runner.history.full_disk import full_disk
from runner.history.moments import utc_and_ago
from runner.history.process_table import ProcessRow, read_processes
from runner.history.run_record import RunRecord, read_record
from runner.history.seal_progress import read_progress
from runner.history.status import RunStatus
from runner.interop.mirror_sentence import describe_mirror
from runner.logview.terminal_text import harmless
from sidecar.contract.layout import RunLayout, driver_log_index

if TYPE_CHECKING:
    from runner.nodes.contact import LostContact

# The end of a traceback says what happened; all of it is in the log.
_TRACEBACK_LINES = 12


@click.command()
@run_argument
@output_option
def command(run: str, output: str) -> None:
    """Say how a run is, and why it failed.

    As JSON: the run's record, with the list "processes" beside it, "contact_lost" for nodes out of reach, and
    "disk_full", the list of the nodes that have no room.
    """
    from runner.cli.resume import resume_if_orphaned

    workspace, run_id = run_here(run)
    try:
        resume_if_orphaned(workspace, run_id)
    except MachineError as error:  # How the run is can be said all the same.
        complain(error.message)
    layout = workspace.run(run_id)
    record = read_record(layout)
    processes = read_processes(layout)
    lost = lost_contacts(layout, record)
    if output == "json":
        rows = [dataclasses.asdict(row) for row in processes]
        gone = {node_id: contact.to_record() for node_id, contact in lost.items()}
        full = full_nodes(layout, record)
        click.echo(dump({**record.to_json(), "processes": rows, "contact_lost": gone, "disk_full": full}))
        return
    colour = is_coloured(sys.stdout)
    now = datetime.now(timezone.utc)
    for line in describe(layout, record, processes, lost, now=now, is_coloured=colour):
        click.echo(line)


def lost_contacts(layout: RunLayout, record: RunRecord) -> dict[str, LostContact]:
    """The nodes that the run waits for because they are out of reach; a run that has ended waits for none."""
    from runner.nodes.contact import read_all_lost

    return {} if record.status.is_terminal else read_all_lost(layout, record.nodes)


def full_nodes(layout: RunLayout, record: RunRecord) -> list[str]:
    """The nodes whose disks are full; nothing waits for them once the run has ended."""
    from runner.nodes.contact import read_all_full

    return [] if record.status.is_terminal else read_all_full(layout, record.nodes)


def describe(
    layout: RunLayout,
    record: RunRecord,
    processes: Sequence[ProcessRow],
    lost: Mapping[str, LostContact],
    *,
    now: datetime,
    is_coloured: bool,
) -> Iterator[str]:
    """The lines of `runner status`, harmless on a terminal."""
    paint = red if record.status is RunStatus.FAILED else bold
    yield f"run        {record.run_id}"
    yield f"status     {paint(record.status.value, is_on=is_coloured)}{_since(record, now)}"
    if record.duration:
        yield f"duration   {record.duration}"
    yield f"nodes      {', '.join(record.nodes) or 'none yet'}"
    for node_id, contact in lost.items():
        yield f"           {_safe(node_id)}: {_safe(contact.sentence(node_id, now))}"
    yield f"processes  {_summary(processes)}"
    yield from sweep_status.describe(layout, record)
    if not record.status.is_terminal and (progress := read_progress(layout)) is not None:
        yield f"progress   {progress}"
    if (copied := describe_mirror(layout, record)) is not None:
        yield f"mlflow     {_safe(copied)}"
    for warning in (*record.warnings, *_troubles(layout, record)):
        yield f"warning    {_safe(warning)}"
    if record.failure:
        yield ""
        yield from _failure(record.failure, is_coloured=is_coloured)
        yield from _clocks(record.failure)
        yield ""
    yield f"folder     {layout.root}"
    for number, suggestion in enumerate([*_logins(layout, record, lost), *_next(record)]):
        yield f"{'next' if number == 0 else '':<10} {suggestion}"


def _troubles(layout: RunLayout, record: RunRecord) -> Iterator[str]:
    """What a run that has not ended may be waiting for."""
    if record.status.is_terminal:
        return
    crash, shortage = read_crash(layout), full_disk(layout)
    if crash is not None and crash.status == record.status.value:
        yield crash.sentence(layout)
    if shortage is not None:
        yield shortage
    for node_id in full_nodes(layout, record):
        yield f"no space left on the disk of {node_id}: what cannot be written there waits until there is room"


def _since(record: RunRecord, now: datetime) -> str:
    if record.status.is_terminal:
        text = record.end_time_utc
    elif record.status is RunStatus.RUNNING:
        text = record.start_time_utc
    else:
        return f", submitted {_when(record.created_utc, now)}"
    return f" since {_when(text, now)}" if text else ""


def _when(text: str, now: datetime) -> str:
    try:
        return utc_and_ago(datetime.fromisoformat(text), now)
    except (TypeError, ValueError):
        return text


def _summary(processes: Sequence[ProcessRow]) -> str:
    if not processes:
        return "none started"
    counts = Counter(row.status for row in processes)
    return f"{len(processes)}: " + ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))


def _failure(failure: Mapping[str, Any], *, is_coloured: bool) -> Iterator[str]:
    first = failure.get("first") or {}
    yield red("first failure", is_on=is_coloured) + f"  {_safe(failure.get('summary') or 'unknown')}"
    if first.get("process_name"):
        yield f"  process  {_safe(first['process_name'])} on {_safe(first.get('node_id') or 'an unknown node')}"
    yield f"  how      {_how(first)}"
    if first.get("hint"):
        yield f"  try      {_safe(first['hint'])}"
    if first.get("at"):
        yield f"  at       {_safe(first['at'])}"
    lines = str(first.get("traceback") or "").rstrip("\n").split("\n") if first.get("traceback") else []
    lines = lines or [str(line) for line in first.get("last_lines") or []]
    if len(lines) > _TRACEBACK_LINES:
        yield f"    ... {len(lines) - _TRACEBACK_LINES} lines above"
    for line in lines[-_TRACEBACK_LINES:]:
        yield f"    {_safe(line)}"
    if first.get("log"):
        yield f"  log      {_safe(first['log'])}"
    yield from _others(failure.get("others") or [])


def _clocks(failure: Mapping[str, Any]) -> Iterator[str]:
    """What the times above were corrected by, where those of several nodes were compared."""
    offsets = failure.get("clock_offsets_ms") or {}
    if len(offsets) > 1:
        shown = ", ".join(f"{node_id} {float(offset):+.1f} ms" for node_id, offset in sorted(offsets.items()))
        yield f"  clocks   {_safe(shown)} against this machine; times are corrected by it"


def _how(first: Mapping[str, Any]) -> str:
    parts = [str(first.get("kind") or "unknown").replace("_", " ")]
    exception = first.get("exception")
    if isinstance(exception, Mapping):
        parts.append(f"{exception.get('type')}: {exception.get('message')}")
    if first.get("signal"):
        # An MPI kills the rank that fell over an exception, together with the others.
        parts.append(f"then {first['signal']}" if isinstance(exception, Mapping) else str(first["signal"]))
    if first.get("exit_code") is not None:
        parts.append(f"exit code {first['exit_code']}")
    return _safe(", ".join(parts))


def _others(others: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    by_outcome: dict[str, list[str]] = {}
    for other in others:
        by_outcome.setdefault(str(other.get("outcome")), []).append(str(other.get("process_name")))
    for outcome, names in by_outcome.items():
        why = " because of it" if outcome == "stopped" else ""
        yield f"  others   {_safe(', '.join(names))} {outcome}{why}"


def _logins(layout: RunLayout, record: RunRecord, lost: Mapping[str, LostContact]) -> list[str]:
    """How to give a password to a run that waits for one, or is refused for want of one."""
    from runner.cli.resume import missing_secrets

    is_refused = any("refused the login" in contact.problem for contact in lost.values())
    is_waiting = missing_secrets(layout, record) is not None
    return [f"runner attach --ask-password {record.run_id}"] if is_refused or is_waiting else []


def _next(record: RunRecord) -> list[str]:
    run_id = record.run_id
    if not record.status.is_terminal:
        return [f"runner logs -f {run_id}", f"runner cancel {run_id}"]
    first = (record.failure or {}).get("first") or {}
    log = str(first.get("log") or "").rpartition("/")[2]
    index = driver_log_index(log)
    logs = f"runner logs {run_id}" + (f" --rank {index}" if index is not None else "")
    return [logs, f"runner history info {run_id}"]


def _safe(text: object) -> str:
    return harmless(str(text).replace("\n", " ").encode("utf-8", "replace"), is_coloured=False)
