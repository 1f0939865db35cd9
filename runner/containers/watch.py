"""Notices that a container of the run died or was paused, finds out why, and tells the node.

alive --lock free--> dead: reason asked of the engine, `container-end.json` written --> the node cleans up outside
alive --paused--> out of contact until it goes on
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from runner.containers import labels
from runner.containers.crew import Berth, Crew
from runner.containers.labels import Role
from runner.errors import MachineError
from sidecar.contract import container_death, container_life, publish

# Trying a lock costs microseconds, asking the engine milliseconds.
_LOOK_S = 0.2
_ASK_S = 2.0

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
        for role in (Role.SIDECAR, Role.JOB):
            is_told = container_life.end_of(berth.node, role).exists()
            if not is_told and berth.node.root.exists() and not container_life.is_alive(berth.node, role):
                self._tell(berth, role)

    def _tell(self, berth: Berth, role: Role) -> None:
        name = labels.container_name(berth.plan.run_id, berth.plan.node_id, role)
        record = container_death.without_sidecar(name) if role is Role.SIDECAR else self._reason(berth, name)
        if self._is_closing.is_set() or not berth.node.root.exists():
            return
        path = container_life.end_of(berth.node, role)
        publish.create_once(path, publish.to_json({"at_ns": time.time_ns(), **record}))
        self._says(berth.plan.node_id, record["sentence"])

    def _reason(self, berth: Berth, name: str) -> dict[str, Any]:
        if container_life.was_rebooted(berth.node, Role.JOB):
            return container_death.rebooted(name)
        is_off, pause = self._is_closing.is_set, self._is_closing.wait
        return container_death.find_reason(name, lambda: self._inspect(name), is_off, pause=pause)

    def _inspect(self, name: str) -> dict[str, Any] | None:
        try:
            found = self._engine().containers()
            mine = [container for container in found if f"/{name}" in container["Names"]]
            return dict(self._engine().client.inspect_container(mine[0]["Id"])) if mine else None
        except Exception as error:
            # The door to the engine: a container that went meanwhile, an engine that is down; asked again.
            raise container_death.NotTold(error.message if isinstance(error, MachineError) else str(error)) from error

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
