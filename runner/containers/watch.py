"""Notices that a container of the run died or was paused, finds out why, and tells the node.

alive --lock free--> dead: reason asked of the engine, `container-end.json` written --> the node cleans up outside
alive --paused--> out of contact until it goes on
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from runner.containers import labels
from runner.containers.crew import Berth, Crew
from runner.containers.labels import Role
from runner.errors import MachineError
from sidecar.contract import publish

# Trying a lock costs microseconds, asking the engine milliseconds.
_LOOK_S = 0.2
_ASK_S = 2.0
# An engine that restarts takes seconds; a death whose reason nobody can tell by then is told without one.
_PATIENCE_S = 20.0
_REMOVAL_S = 2.0
_KILLED = 137

# (node id, why it is out of reach or None)
PauseNews = Callable[[str, "str | None"], None]


class Watch:
    """Looks after the containers in a thread of its own until it is closed."""

    def __init__(
        self,
        engine: Callable[[], Crew],
        berths: Sequence[Berth],
        *,
        says: Callable[[str, str], None],
        on_pause: PauseNews,
    ) -> None:
        """`engine` may raise MachineError: a lock needs no engine to be looked at."""
        self._engine = engine
        self._berths = tuple(berths)
        self._says = says
        self._on_pause = on_pause
        self._paused: set[str] = set()
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="containers", daemon=True)

    def open(self) -> None:
        """Begins; every container is up, or was."""
        self._thread.start()

    def close(self) -> None:
        """Looks no longer: whatever ends from now on was let go."""
        self._is_closing.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=_LOOK_S * 10)

    def _serve(self) -> None:
        next_question = 0.0
        while not self._is_closing.wait(_LOOK_S):
            for berth in self._berths:
                self._look(berth)
            if time.monotonic() >= next_question:
                self._ask_for_paused()
                next_question = time.monotonic() + _ASK_S

    def _look(self, berth: Berth) -> None:
        node = berth.node
        if not node.attendant_end.exists() and node.root.exists() and not berth.is_alive(Role.SIDECAR):
            self._tell(berth, Role.SIDECAR)
        if not node.container_end.exists() and node.root.exists() and not berth.is_alive(Role.JOB):
            self._tell(berth, Role.JOB)

    def _tell(self, berth: Berth, role: Role) -> None:
        name = labels.container_name(berth.plan.run_id, berth.plan.node_id, role)
        # The steps of a sidecar container are done without it, whyever that is.
        gone = {**_BLANK, "sentence": f"its container {name} is gone; job release is done without it"}
        record = self._reason(name) if role is Role.JOB else gone
        if self._is_closing.is_set() or not berth.node.root.exists():
            return
        path = berth.node.container_end if role is Role.JOB else berth.node.attendant_end
        publish.create_once(path, publish.to_json({"at_ns": time.time_ns(), **record}))
        self._says(berth.plan.node_id, record["sentence"])

    def _reason(self, name: str) -> dict[str, Any]:
        deadline, removed_by = time.monotonic() + _PATIENCE_S, time.monotonic() + _REMOVAL_S
        while True:
            try:
                found = self._engine().containers()
                mine = [container for container in found if f"/{name}" in container["Names"]]
                if not mine:
                    return reason(name, None)
                there = self._engine().client.inspect_container(mine[0]["Id"])
                state = there["State"]
                # What is removed by force is killed first, and gone only a little later.
                may_go = state["ExitCode"] == _KILLED and not state["OOMKilled"] and time.monotonic() < removed_by
                if not (state["Running"] or may_go) or time.monotonic() >= deadline:
                    return reason(name, there)
            except Exception as error:
                # The door to the engine: a container that went meanwhile, an engine that is down; asked again.
                if time.monotonic() >= deadline or self._is_closing.is_set():
                    why = error.message if isinstance(error, MachineError) else str(error)
                    return {**_BLANK, "sentence": f"its container {name} died, and the engine cannot be asked: {why}"}
            self._is_closing.wait(_LOOK_S)

    def _ask_for_paused(self) -> None:
        try:
            found = self._engine().containers()
        except MachineError:
            return  # An engine that restarts takes nothing away from a container that lives.
        paused = {
            container["Labels"][labels.NODE]: container["Names"][0].lstrip("/")
            for container in found
            if container["State"] == "paused" and labels.NODE in container["Labels"]
        }
        for node_id in sorted(self._paused - paused.keys()):
            self._on_pause(node_id, None)
        for node_id in sorted(paused.keys() - self._paused):
            self._on_pause(node_id, f"its container is paused; it goes on after: docker unpause {paused[node_id]}")
        self._paused = set(paused)


_BLANK: Mapping[str, Any] = {"is_out_of_memory": False, "memory_limit_bytes": None, "exit_code": None}


def reason(name: str, there: Mapping[str, Any] | None) -> dict[str, Any]:
    """Why the container is dead, out of what the engine says of it (None: it knows no such container)."""
    if there is None:
        return {**_BLANK, "sentence": f"its container {name} was removed"}
    state, limit = there["State"], int(there["HostConfig"].get("Memory") or 0)
    told = {**_BLANK, "exit_code": state["ExitCode"], "memory_limit_bytes": limit or None}
    if state.get("OOMKilled"):
        within = f" (limit {limit / 2**20:.0f} MiB)" if limit else ""
        sentence = f"its container {name} ran out of memory{within}"
        return {**told, "is_out_of_memory": True, "sentence": sentence}
    how = f"exit code {state['ExitCode']}"
    if state["ExitCode"] in (137, 143):
        how += ": killed, or the engine was restarted without live-restore"
    words = f", {state['Error']}" if state.get("Error") else ""
    return {**told, "sentence": f"its container {name} ended ({how}{words})"}
