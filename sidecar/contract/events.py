"""What a node says happened: one JSON line each in `events.jsonl`, appended by whoever did it.

Every event has `event`, `at_ns` (wall clock, UTC) and `monotonic_ns` (this boot of this node). Besides:

| event | further keys | written by |
|---|---|---|
| supervisor | pid, adopted: [names], segments: [names in /dev/shm] | supervisor, at every start of one |
| step | step, state: begun, done or failed; message, hint; done carries results | the step's own process |
| ordered | order | supervisor, once an order was carried out |
| started | process, pid, wrapper_pid, log, index, address | wrapper |
| exited | process, and the exit record | wrapper; supervisor where the wrapper was killed |
| launches | argvs: [argv a node, in order of the nodes] | supervisor: what the MPI launcher wants started |
| stalled, resumed | process, state | supervisor |
| stopping | reason, grace_s | supervisor, before the first signal |
| killing | count | supervisor, before KILL |
| stopped | reason | supervisor, once nothing is left |
| ended | | supervisor: every process it was ordered to start has ended |
| container | role, sentence: why the container of that role is no more | steward |
| paused | container: its name; None once it goes on | steward |
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Dict, Optional

from sidecar.contract import publish

SUPERVISOR = "supervisor"
STEP = "step"
ORDERED = "ordered"
STARTED = "started"
EXITED = "exited"
LAUNCHES = "launches"
STALLED = "stalled"
RESUMED = "resumed"
STOPPING = "stopping"
KILLING = "killing"
STOPPED = "stopped"
ENDED = "ended"
CONTAINER = "container"
PAUSED = "paused"

BEGUN = "begun"
DONE = "done"
FAILED = "failed"

REASON_FAILURE = "failure"
REASON_CANCEL = "cancel"
REASON_TIMEOUT = "timeout"
REASON_LEFT_BEHIND = "left behind"


def stamp() -> Dict[str, int]:
    """Both clocks, now, in nanoseconds."""
    return {"at_ns": time.time_ns(), "monotonic_ns": time.monotonic_ns()}


def append(path: Path, event: str, **fields: Any) -> Dict[str, Any]:
    """Appends one event in a single write and returns it."""
    record: Dict[str, Any] = {"event": event, **stamp(), **fields}
    publish.append_record(path, record)
    return record


def utc_text(at_ns: int) -> str:
    """`2026-11-20T22:30:10.764428389Z`: RFC 3339 with nanoseconds, as process_status.json has it."""
    seconds, nanoseconds = divmod(at_ns, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{nanoseconds:09d}Z"


class ExitRecord(Dict[str, Any]):
    """How one process ended; a plain JSON object with these keys.

    process, pid, exit_code (None when killed by a signal), signal (name, or None), is_core_dumped,
    is_out_of_memory, memory_limit_bytes, error (why it could not be started), is_lost (nobody saw how it ended),
    started_at_ns, started_monotonic_ns, at_ns, monotonic_ns, user_cpu_s, system_cpu_s, max_rss_bytes, log_bytes,
    log_troubles (what happened to the log's name, in words), raised ({type, message, at_ns, monotonic_ns} or None).
    """


def failed_first_ns(record: Dict[str, Any]) -> int:
    """The moment (monotonic) at which a process began to fail: its exception where it raised one, else its end."""
    raised: Optional[Dict[str, Any]] = record.get("raised")
    moment = raised["monotonic_ns"] if raised else record["monotonic_ns"]
    return int(moment)
