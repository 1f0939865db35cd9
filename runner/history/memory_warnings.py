"""Says that the kernel killed something for lack of memory beside processes that ended well."""

from __future__ import annotations

from collections.abc import Sequence

from runner.history.failure import Ending


def memory_warnings(endings: Sequence[Ending]) -> tuple[str, ...]:
    """A sentence for each process that completed although others of its control group were killed meanwhile."""
    found = []
    for ending in endings:
        count, limit = ending.record.get("killed_for_memory") or 0, ending.record.get("memory_limit_bytes")
        if ending.is_user and not ending.has_failed and count and limit:
            within = f"the memory limit of {limit / 2**20:.0f} MiB"
            what = "a process was" if count == 1 else f"{count} processes were"
            found.append(f"{ending.process_name} completed, but {what} killed for {within} while it ran")
    return tuple(found)
