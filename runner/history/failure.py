"""Names the process that failed first, how, and who was only stopped because of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.history import traceback_text
from sidecar.contract import events
from sidecar.contract.layout import MPI_LAUNCHER

# How a process ends when somebody else ends it: our own stop, an MPI's abort, or the kernel passing that on.
_STOP_SIGNALS = frozenset({"SIGTERM", "SIGKILL", "SIGINT", "SIGHUP", "SIGABRT", "SIGPIPE"})
_STOP_EXIT_CODES = frozenset({137, 143, 130})
# Open MPI's own abort when a peer's socket closes; a busy machine may show it before the peer's end.
_PEER_LOST_EXIT_CODES = frozenset({14})
# A shell tells so of a program that SIGKILL or SIGSEGV ended: Open MPI's daemons run in one.
_SHELL_SIGNALS = {137: "SIGKILL", 139: "SIGSEGV"}
# `sys.exit(9)` is told like an exception, early, because an MPI's abort may overtake the exit itself.
_LEFT = "SystemExit"
# A wrapper on a busy machine may wake this late; longer would call two unrelated failures one.
_SAME_TIME_NS = 50_000_000
# An MPI ends the others within this after a rank left it. Shorter: missed on a busy machine. Longer: a rank that ended
# well before is blamed.
_LEFT_EARLY_NS = 2_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How one process ended: its exit record, where it ran, its log relative to the run folder.

    `clock_offset_ns` is what the node's wall clock is ahead of the submitter's; 0 on this machine. `is_after_stop`: the
    runner had begun to stop the node's processes by then.
    """

    process_name: str
    node_id: str
    record: Mapping[str, Any]
    log: str | None
    is_user: bool
    clock_offset_ns: int = 0
    is_after_stop: bool = False

    @property
    def failed_at_ns(self) -> int:
        """The wall-clock moment at which it began to fail, on the submitter's clock."""
        raised = self.record.get("raised")
        moment = raised["at_ns"] if raised else self.record["at_ns"]
        return int(moment) - self.clock_offset_ns

    @property
    def has_failed(self) -> bool:
        """Whether it ended other than with exit code 0."""
        return bool(self.record["exit_code"] != 0)

    @property
    def looks_stopped(self) -> bool:
        """Whether it ended the way somebody else's signal ends a process."""
        return not self.record.get("raised") and (
            self.record["signal"] in _STOP_SIGNALS
            or self.record["exit_code"] in _STOP_EXIT_CODES
            or (self.record["is_lost"] and self.record["exit_code"] is None)
        )

    @property
    def is_stopped_here(self) -> bool:
        """Whether it ended by the runner's own stop: no cause of anything."""
        return self.is_after_stop and self.looks_stopped and not self.record.get("is_out_of_memory")


def find_failure(
    endings: Sequence[Ending],
    *,
    read_tail: Callable[[str], list[str]],
    stop_reason: str | None = None,
    is_mpi: bool = False,
    is_contained: bool = False,
) -> dict[str, Any] | None:
    """The failure object of `failure.json`; None where every process ended with exit code 0.

    `read_tail` gives the last lines of a log. `stop_reason` is why the runner stopped the processes, where it did so
    before any failed. Where `is_mpi`, a process that ended after the first without an exception of its own was ended
    by the MPI, whatever exit code the MPI chose for that. Where `is_contained`, a stop that nobody asked the runner for
    is the engine's.
    """
    failed = [ending for ending in endings if ending.has_failed]
    if not failed:
        return None
    if stop_reason == events.REASON_TIMEOUT:
        return _timed_out(endings)
    close = _close_to_first(failed)
    left_early = _left_early(endings, close) if is_mpi else None
    first = left_early or min(close, key=lambda ending: (_consequence(ending), ending.failed_at_ns))
    description = _describe(first, read_tail)
    if is_contained and stop_reason == events.REASON_CANCEL and description["kind"] == "signal":
        description["container_end"] = "its container was stopped (docker stop, or the engine was restarted)"
    others = [_other(ending, first, is_mpi=is_mpi) for ending in endings if ending is not first and ending.is_user]
    return {"first": description, "summary": _summary(description, others), "others": others}


def _close_to_first(failed: Sequence[Ending]) -> list[Ending]:
    """The earliest, and those that cannot be told apart from it in time."""
    # A machine that went down took its processes along and tells of it late; the others fail for want of them.
    failed = [ending for ending in failed if ending.record.get("is_rebooted")] or list(failed)
    failed = [ending for ending in failed if not ending.is_stopped_here] or failed
    earliest = min(ending.failed_at_ns for ending in failed)
    return [ending for ending in failed if ending.failed_at_ns - earliest <= _SAME_TIME_NS]


def _consequence(ending: Ending) -> int:
    """0 for a cause of its own, more for an end that another's death is known to bring about."""
    if ending.record.get("raised") or ending.record["signal"]:
        return 0
    if not ending.is_user:
        # An MPI's launcher or helper that leaves by itself leaves because of a rank, or of the launcher.
        return 0 if _is_killed_helper(ending) else 2
    return int(ending.record["exit_code"] in _PEER_LOST_EXIT_CODES)


def _is_killed_helper(ending: Ending) -> bool:
    """Whether an MPI's helper was killed in the shell that it runs in; a launcher's exit code is that of a rank."""
    return not ending.is_user and ending.process_name != MPI_LAUNCHER and ending.record["exit_code"] in _SHELL_SIGNALS


def _left_early(endings: Sequence[Ending], close: Sequence[Ending]) -> Ending | None:
    """The rank that left with exit code 0 before MPI_Finalize, for which the MPI ended the others; None for no such.

    Hydra's proxy leaves then, with 0, and kills the wrappers of its ranks; Open MPI's other ranks abort with 14. Both
    was seen with MPICH 5.0 and Open MPI 5.0.
    """
    is_told = any(ending.record["exit_code"] in _PEER_LOST_EXIT_CODES for ending in close if ending.is_user) or any(
        ending.is_user and ending.record["is_lost"] and _has_proxy_left(ending, endings) for ending in endings
    )
    if not is_told or any(_has_own_cause(ending) for ending in close):
        return None
    earliest = min(ending.failed_at_ns for ending in close)
    left = [
        ending
        for ending in endings
        if ending.is_user
        and not ending.has_failed
        and -_SAME_TIME_NS <= earliest - ending.failed_at_ns <= _LEFT_EARLY_NS
    ]
    return min(left, key=lambda ending: ending.failed_at_ns, default=None)


def _has_proxy_left(lost: Ending, endings: Sequence[Ending]) -> bool:
    return any(
        not ending.is_user
        and ending.node_id == lost.node_id
        and not ending.has_failed
        and ending.failed_at_ns <= lost.failed_at_ns
        for ending in endings
    )


def _has_own_cause(ending: Ending) -> bool:
    """Whether the end cannot be an MPI's doing."""
    if ending.record.get("raised") or ending.record.get("is_out_of_memory") or ending.record["error"]:
        return True
    if not ending.is_user:
        return _is_killed_helper(ending) or bool(ending.record["signal"])
    # What an MPI kills is the wrapper, which passes TERM on.
    is_ended = ending.record["is_lost"] or ending.record["signal"] == "SIGTERM"
    return not (is_ended or ending.record["exit_code"] in _PEER_LOST_EXIT_CODES)


def phase_failure(phase: str, node_id: str | None, message: str, *, at_ns: int) -> dict[str, Any]:
    """The failure object of a run that ended before, or beside, its processes: a phase could not do its work."""
    where = f" on {node_id}" if node_id else ""
    first = {**_blank(), "node_id": node_id, "at": events.utc_text(at_ns), "kind": "phase", "phase": phase}
    why = message.removeprefix(f"{node_id}: ")
    return {"first": first, "summary": f"{phase}{where} failed: {why}", "others": []}


def _blank() -> dict[str, Any]:
    return {
        "process_name": None,
        "node_id": None,
        "at": None,
        "kind": None,
        "exit_code": None,
        "signal": None,
        "exception": None,
        "traceback": None,
        "log": None,
        "last_lines": [],
    }


def _timed_out(endings: Sequence[Ending]) -> dict[str, Any]:
    last = max(ending.failed_at_ns for ending in endings)
    first = {**_blank(), "at": events.utc_text(last), "kind": "timeout"}
    others = [_other(ending, None, is_mpi=False) for ending in endings if ending.is_user]
    return {
        "first": first,
        "summary": "the run was stopped because it reached max_run_duration_seconds",
        "others": others,
    }


def _describe(ending: Ending, read_tail: Callable[[str], list[str]]) -> dict[str, Any]:
    record = ending.record
    lines = read_tail(ending.log) if ending.log else []
    raised = record.get("raised")
    if raised and raised["type"] == _LEFT:
        record = {**record, "exit_code": _left_with(raised["message"]), "signal": None, "is_lost": False}
        raised = None
    if _is_killed_helper(ending):
        record = {**record, "signal": _SHELL_SIGNALS[record["exit_code"]]}
    traceback = traceback_text.last_traceback(lines) if raised or not record["signal"] else None
    exception = {"type": raised["type"], "message": raised["message"]} if raised else None
    if exception is None and traceback is not None:
        exception = traceback_text.exception_of(traceback)
    return {
        **_blank(),
        "process_name": ending.process_name,
        "node_id": ending.node_id,
        "at": events.utc_text(ending.failed_at_ns),
        "kind": _kind(record, has_exception=exception is not None),
        "exit_code": record["exit_code"],
        "signal": record["signal"],
        "exception": exception,
        "traceback": traceback,
        "log": ending.log,
        "last_lines": traceback_text.last_lines(lines),
        "error": record["error"],
        "memory_limit_bytes": record.get("memory_limit_bytes") if record.get("is_out_of_memory") else None,
        "is_disk_full": bool(record.get("is_disk_full")),
        "container_end": record.get("container_end"),
        "loss": record.get("loss"),
    }


def _left_with(message: str) -> int:
    """The exit code of `sys.exit(message)`: a number as it is, a text is printed and means 1."""
    try:
        return int(message) & 0xFF
    except ValueError:
        return 1


def _kind(record: Mapping[str, Any], *, has_exception: bool) -> str:
    if record["error"]:
        return "start_failed"
    if record.get("is_out_of_memory"):
        return "out_of_memory"
    # An MPI that is told of an exception ends the rank by signal: the exception is what happened.
    if has_exception:
        return "exception"
    if record["signal"]:
        return "signal"
    if record.get("is_rebooted"):
        return "rebooted"
    if record["exit_code"] is None or record["is_lost"]:
        return "lost"
    return "exit_code" if record["exit_code"] else "left_early"


def _other(ending: Ending, first: Ending | None, *, is_mpi: bool) -> dict[str, Any]:
    if not ending.has_failed:
        outcome = "completed"
    else:
        is_ended_by_mpi = is_mpi and not ending.record.get("raised")
        outcome = "stopped" if first is None or ending.looks_stopped or is_ended_by_mpi else "failed"
    return {
        "process_name": ending.process_name,
        "node_id": ending.node_id,
        "outcome": outcome,
        "at": events.utc_text(ending.failed_at_ns),
        "exit_code": ending.record["exit_code"],
        "signal": ending.record["signal"],
    }


def how(first: Mapping[str, Any]) -> str:
    """One phrase for how the first process failed: `ValueError: bad batch (exit code 1)`."""
    kind = first["kind"]
    if kind == "start_failed":
        return f"could not be started: {first['error']}"
    if kind == "out_of_memory":
        limit = first.get("memory_limit_bytes")
        within = f", limit {limit / 2**20:.0f} MiB" if limit else ""
        if first.get("container_end"):
            return f"lost with its container: {first['container_end']}"
        return f"out of memory (killed by the kernel{within})"
    if kind == "signal":
        why = f": {first['container_end']}" if first.get("container_end") else ""
        return f"killed by {first['signal']}{why}"
    if kind == "exception":
        exception = first["exception"]
        message = f": {exception['message'].splitlines()[0][:200]}" if exception["message"] else ""
        end = f" (exit code {first['exit_code']})" if first["exit_code"] is not None else ""
        return f"{exception['type']}{message}{end}"
    if kind == "rebooted":
        return "lost (rebooted): its node went down while it ran"
    if kind == "lost" and first.get("container_end"):
        return f"lost with its container: {first['container_end']}"
    if kind == "lost" and first.get("loss"):
        return f"lost: its node {first['loss']}"
    if kind == "lost":
        return "vanished without an exit record; somebody killed the process that watched it"
    if kind == "left_early":
        return "ended with exit code 0, but without MPI_Finalize"
    return f"exit code {first['exit_code']}"


def _summary(first: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> str:
    sentence = f"{first['process_name']} on {first['node_id']} failed first: {how(first)}"
    if first.get("is_disk_full"):
        sentence += f", and {first['node_id']} has no space left on its disk"
    stopped = sum(1 for other in others if other["outcome"] == "stopped")
    failed = sum(1 for other in others if other["outcome"] == "failed")
    parts = []
    if stopped:
        parts.append(f"{stopped} {'other was' if stopped == 1 else 'others were'} stopped because of it")
    if failed:
        parts.append(f"{failed} failed after it")
    return "; ".join([sentence, *parts])
