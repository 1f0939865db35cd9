"""Finds out why a node's job container is no more, of the engine that ran it, whichever side asks that one.

lock free --machine rebooted--> told at once
          `-- engine asked, again while it is away --> removed | out of memory | ended | nobody can say
"""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, Mapping, Optional

# An engine that restarts takes seconds; a death whose reason nobody can tell by then is told without one.
_PATIENCE_S = 20.0
_REMOVAL_S = 2.0
_LOOK_S = 0.2
_KILLED = 137
BLANK: Mapping[str, Any] = {"is_out_of_memory": False, "memory_limit_bytes": None, "exit_code": None}


class NotTold(Exception):
    """The engine does not say now what it knows of a container: it is away, or about to be."""


def find_reason(
    name: str,
    inspect: Callable[[], Optional[Mapping[str, Any]]],
    is_off: Callable[[], bool],
    *,
    pause: Callable[[float], object] = time.sleep,
) -> Dict[str, Any]:
    """The record of its end. `inspect` asks the engine what it knows of the container (None: nothing), or raises
    NotTold. Where `is_off`, nobody waits for an engine any more.
    """
    deadline, removed_by = time.monotonic() + _PATIENCE_S, time.monotonic() + _REMOVAL_S
    while True:
        try:
            there = inspect()
            if there is None:
                return describe(name, None)
            state = there["State"]
            # What is removed by force is killed first, and gone only a little later.
            may_go = state["ExitCode"] == _KILLED and not state["OOMKilled"] and time.monotonic() < removed_by
            if not (state["Running"] or may_go) or time.monotonic() >= deadline:
                return describe(name, there)
        except NotTold as problem:
            if time.monotonic() >= deadline or is_off():
                return {**BLANK, "sentence": f"its container {name} died, and the engine cannot be asked: {problem}"}
        pause(_LOOK_S)  # The condition is the engine's answer above.


def describe(name: str, there: Optional[Mapping[str, Any]]) -> Dict[str, Any]:
    """Why the container is dead, out of what the engine says of it (None: it knows no such container)."""
    if there is None:
        return {**BLANK, "sentence": f"its container {name} was removed"}
    state, limit = there["State"], int(there["HostConfig"].get("Memory") or 0)
    told = {**BLANK, "exit_code": state["ExitCode"], "memory_limit_bytes": limit or None}
    if state.get("OOMKilled"):
        within = f" (limit {limit / 2**20:.0f} MiB)" if limit else ""
        return {**told, "is_out_of_memory": True, "sentence": f"its container {name} ran out of memory{within}"}
    how = f"exit code {state['ExitCode']}"
    if state["ExitCode"] in (137, 143):
        how += ": killed, or the engine was restarted without live-restore"
    words = f", {state['Error']}" if state.get("Error") else ""
    return {**told, "sentence": f"its container {name} ended ({how}{words})"}


def rebooted(name: str) -> Dict[str, Any]:
    """The end of a container whose machine was rebooted: the engine need not be there yet to know that."""
    return {**BLANK, "sentence": f"its container {name} went down with its machine, which was rebooted"}


def without_sidecar(name: str) -> Dict[str, Any]:
    """The end of a sidecar container, whyever it came: its steps are done without it."""
    return {**BLANK, "sentence": f"its container {name} is gone; job release is done without it"}
