"""Follows a run to its end on a screen: the user's output live, what happens around it, and the result."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

from runner.errors import RunCanceledError, RunFailedError
from runner.history.controller_crash import CrashWatch
from runner.history.failure import how
from runner.history.run_record import RunRecord
from runner.history.status import RunStatus
from runner.history.status_watch import StatusWatch
from runner.logview.screen import Appearance
from runner.logview.sources import Selection
from sidecar.contract.layout import USER_OUTPUT_PREFIXES, RunLayout, WorkspaceLayout

if TYPE_CHECKING:
    from runner.transports.ssh.authentication import Secrets

_POLL_S = 0.02
# A controller that was killed is noticed this often by whoever follows.
_CHECK_S = 1.0
_INTERRUPTED = 130


class Watcher:
    """Tells whether the run has ended, says each new status once, and has a dead controller started again."""

    def __init__(
        self, workspace: WorkspaceLayout, run_id: str, says: TextIO | None, secrets: Secrets | None = None
    ) -> None:
        self._workspace = workspace
        self._secrets = secrets
        self._run_id = run_id
        self._says = says
        self._watch = StatusWatch(workspace.run(run_id))
        self._told: RunStatus | None = None
        self._away: set[str] = set()
        self._crashes = CrashWatch(workspace.run(run_id))
        self._next_check = time.monotonic() + _CHECK_S

    def is_finished(self) -> bool:
        """Whether the run reached a terminal status. Raises MachineError where controllers crash in vain."""
        record = self._watch.read()
        if record.status is not self._told and self._says is not None and not record.status.is_terminal:
            self._says.write(f"{record.status}\n")
            self._says.flush()
        self._told = record.status
        if not record.status.is_terminal and time.monotonic() >= self._next_check:
            self._next_check = time.monotonic() + _CHECK_S
            self._tell_lost(record)
            self._crashes.check()
            from runner.submission import resume_if_orphaned

            if resume_if_orphaned(self._workspace, self._run_id, self._secrets) and self._says is not None:
                self._says.write("The run had lost its controller; a new one has taken over.\n")
        return record.status.is_terminal

    def _tell_lost(self, record: RunRecord) -> None:
        """Says once of each node that it cannot be reached, and once that it can again."""
        from runner.nodes.contact import read_all_lost

        now = datetime.now(timezone.utc)
        lost = read_all_lost(self._workspace.run(self._run_id), record.nodes)
        # What comes back within a second is no news.
        away = {node_id for node_id, contact in lost.items() if now.timestamp() - contact.lost_at >= _CHECK_S}
        lines = [f"{node_id}: {lost[node_id].sentence(node_id, now)}\n" for node_id in sorted(away - self._away)]
        lines += [f"{node_id}: answers again\n" for node_id in sorted(self._away - lost.keys())]
        self._away = away | (self._away & lost.keys())
        if self._says is not None and lines:
            self._says.write("".join(lines))
            self._says.flush()

    def read(self) -> RunRecord:
        """The record as it is now."""
        return self._watch.read()


def follow(
    workspace: WorkspaceLayout,
    run_id: str,
    appearance: Appearance,
    *,
    is_quiet: bool,
    secrets: Secrets | None = None,
) -> int:
    """Shows the run until it has ended; returns the exit code of the command. Ctrl-C leaves the run running.

    Quiet, the user's output goes to standard error and the record, as JSON, to standard output.
    """
    run = workspace.run(run_id)
    out: BinaryIO = sys.stderr.buffer if is_quiet else sys.stdout.buffer
    watcher = Watcher(workspace, run_id, None if is_quiet else sys.stderr, secrets)
    try:
        stream(run, out, watcher, appearance)
    except KeyboardInterrupt:
        sys.stderr.write(
            f"\nNo longer following. The run goes on:\n"
            f"  runner attach {run_id}     follow it again\n"
            f"  runner cancel {run_id}     stop it\n"
        )
        return _INTERRUPTED
    record = watcher.read()
    if is_quiet:
        import json

        found = {"run_id": run_id, "status": record.status.value, "run_directory": str(run.root)}
        sys.stdout.write(json.dumps({**record.to_json(), **found}, indent=1) + "\n")
    else:
        write_summary(sys.stdout, run, record)
    return exit_code(record)


def stream(run: RunLayout, out: BinaryIO, watcher: Watcher, appearance: Appearance) -> None:
    """Writes the user's output, live, until the run has ended and all of it is written."""
    from runner.logview.show import follow_logs

    follow_logs(
        run, out, appearance, Selection(prefixes=USER_OUTPUT_PREFIXES), is_finished=watcher.is_finished, poll_s=_POLL_S
    )


def exit_code(record: RunRecord) -> int:
    """0 for Completed, 100 for Failed, 103 for Canceled; 3 where a phase found that a machine lacks something."""
    if record.status is RunStatus.COMPLETED:
        return 0
    if record.status is RunStatus.CANCELED:
        return RunCanceledError.exit_code
    first = (record.failure or {}).get("first") or {}
    return int(first.get("exit_code") or 3) if first.get("kind") == "phase" else RunFailedError.exit_code


def write_summary(out: TextIO, run: RunLayout, record: RunRecord) -> None:
    """The end of a followed run: v1's heading, the result, where everything is."""
    from runner.logview.terminal_text import harmless

    out.write("\nExecution Summary\n=================\n")
    out.write(f"RunId: {record.run_id}\nStatus: {record.status}\n")
    if record.duration:
        out.write(f"Duration: {record.duration}\n")
    if record.environment and record.environment.get("key"):
        is_hit = record.environment.get("cache_hit")
        out.write(f"Environment: {record.environment['key'][:12]} ({'cache hit' if is_hit else 'built'})\n")
    for warning in record.warnings:
        out.write(f"Warning: {harmless(warning.encode('utf-8', 'replace'), is_coloured=False)}\n")
    if record.failure:
        write_failure(out, record.failure)
    out.write(f"Folder: {run.root}\n")
    out.flush()


def write_failure(out: TextIO, failure: Mapping[str, Any]) -> None:
    """Who failed first, how, with the traceback or the last lines, and who was only stopped."""
    first = failure["first"]
    out.write(f"\nFailed: {failure['summary']}\n")
    if first.get("hint"):
        out.write(f"  try: {first['hint']}\n")
    if first.get("process_name"):
        out.write(f"  process: {first['process_name']} on {first['node_id']}, {how(first)}\n")
    if first.get("log"):
        out.write(f"  log: {first['log']}\n")
    shown = first.get("traceback") or "\n".join(first.get("last_lines") or ())
    for line in shown.splitlines()[-30:]:
        out.write(f"    {line}\n")
    stopped = [other["process_name"] for other in failure["others"] if other["outcome"] == "stopped"]
    if stopped:
        out.write(f"  stopped because of it: {', '.join(stopped)}\n")
    out.write("\n")
