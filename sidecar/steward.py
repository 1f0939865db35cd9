"""Houses a job on a machine with an engine of its own: one steward a node, started by the agent, outside of containers.

What it is asked for it finds in orders, what it did it tells in events; killed, it is started again and goes on:

    engine (by itself) -> image: here, pulled, or to be shipped -> house: loaded, containers up -> watch -> QUIT
"""

from __future__ import annotations

import os
import pwd
import select
import time
from typing import Any, Callable, Dict, List, Mapping, Optional

from sidecar import image_archive
from sidecar.contract import bell, container_death, container_labels, container_life, events, lock, publish
from sidecar.contract.container_labels import Role
from sidecar.contract.layout import NodeLayout
from sidecar.contract.orders import ORDER_NAMES, STEWARDS, NodePlan, Verb, node_plan
from sidecar.contract.stores import LayersLayout
from sidecar.engine import Engine, EngineProblem, find_socket
from sidecar.house import House, NotHoused

# Trying a lock costs microseconds, asking the engine milliseconds.
_LOOK_S = 0.2
_ASK_S = 2.0
# An engine that had answered restarts, or starts with its machine: within this a step is tried again. Longer than a
# slow machine takes to boot, shorter than a person waits for a run that does not begin.
_RETURN_LIMIT_S = 120.0


class Steward:
    """The steward of one run on one node."""

    def __init__(
        self, plan: NodePlan, layout: NodeLayout, engine: Engine, problem: Optional[EngineProblem] = None
    ) -> None:
        """`problem`: why there is no engine to be asked."""
        self._plan = plan
        self._layout = layout
        self._problem = problem
        # <work>/nodes/<node>/<run>
        self._work = layout.root.parents[2]
        self._store = LayersLayout.of(self._work)
        self._done: Dict[str, Dict[str, Any]] = {
            record["step"]: record
            for record in publish.read_records(layout.events)
            if record["event"] == events.STEP and record["state"] != events.BEGUN
        }
        # The one that was found first: after a reboot another's socket may be there sooner.
        socket = self._done.get(Verb.ENGINE.value, {}).get("socket")
        self._engine = Engine(socket) if socket else engine
        self._house = House(self._engine, layout, plan, self._work)
        # Since when the engine does not answer, though it had: monotonic seconds.
        self._away_since: Optional[float] = None
        self._paused: Optional[str] = None
        self._next_question = 0.0

    def run(self) -> None:
        """Serves until the node is let go, or its folder is gone."""
        descriptor = bell.hang(self._layout.steward_bell)
        self._step(Verb.ENGINE, self._look_at_engine)
        while not self._is_let_go():
            failure = self._failure()
            if failure is not None:
                self._give_up(failure)
            elif self._is_done(Verb.HOUSE):
                self._watch()
            elif self._is_off():
                self._give_up("the run was stopped before its containers were up")
            else:
                self._take(Verb.IMAGE, self._have_image)
                self._take(Verb.HOUSE, self._move_in)
            select.select([descriptor], [], [], _LOOK_S)
            bell.silence(descriptor)
        if self._layout.order(ORDER_NAMES[Verb.HOUSE]).exists() or not self._layout.plan.exists():
            self._house.clear()

    def _is_let_go(self) -> bool:
        return not self._layout.plan.exists() or self._layout.order(ORDER_NAMES[Verb.QUIT]).exists()

    def _is_off(self) -> bool:
        return self._is_let_go() or self._layout.order(ORDER_NAMES[Verb.STOP]).exists()

    def _is_done(self, verb: Verb) -> bool:
        return self._done.get(verb.value, {}).get("state") == events.DONE

    def _failure(self) -> Optional[str]:
        """Why one of the steward's own steps failed; None while none has."""
        own = {verb.value for verb in STEWARDS}
        failed = (record for step, record in self._done.items() if step in own and record["state"] == events.FAILED)
        return next((str(record["message"]) for record in failed), None)

    # Steps

    def _take(self, verb: Verb, act: Callable[[Mapping[str, Any]], Dict[str, Any]]) -> None:
        order = publish.read_record(self._layout.order(ORDER_NAMES[verb]))
        if order is not None and not self._is_off():
            self._step(verb, lambda: act(order))

    def _step(self, verb: Verb, act: Callable[[], Dict[str, Any]]) -> None:
        """Does a step that was not done, and tells how it went."""
        if verb.value in self._done:
            return
        try:
            told = {"state": events.DONE, **act()}
        except _Off:
            return
        except (EngineProblem, NotHoused) as problem:
            if verb is not Verb.ENGINE and self._may_return(problem):
                return  # The next turn tries again: every step looks first at what is there.
            told = {"state": events.FAILED, "message": str(problem), "hint": problem.hint}
        except image_archive.Damaged as problem:
            told = {"state": events.FAILED, "message": str(problem), "hint": "submit it again"}
        except OSError as error:
            message = f"{error.filename or self._layout.root}: {error.strerror or error}"
            told = {"state": events.FAILED, "message": message, "hint": "free some space there"}
        self._away_since = None
        self._done[verb.value] = events.append(self._layout.events, events.STEP, step=verb.value, **told)
        bell.ring(self._layout.agent_bell)

    def _may_return(self, problem: Exception) -> bool:
        """Whether `problem` is an engine's that is away and may come back: it was there when the run began."""
        cause = problem if isinstance(problem, EngineProblem) else problem.__cause__
        if not (isinstance(cause, EngineProblem) and cause.is_silence):
            return False
        now = time.monotonic()
        self._away_since = self._away_since or now
        return now - self._away_since < _RETURN_LIMIT_S

    def _look_at_engine(self) -> Dict[str, Any]:
        if self._problem is not None:
            raise self._problem
        facts = self._engine.facts()
        swept = self._house.sweep()
        uid, gid = os.getuid(), os.getgid()
        try:
            name = pwd.getpwuid(uid).pw_name
        except KeyError:
            name = f"u{uid}"
        groups = [str(group) for group in os.getgroups() if group != gid] if uid and not facts.is_rootless else []
        return {
            **facts._asdict(),
            "socket": self._engine.path,
            "swept": swept,
            # A rootless engine's root is the user.
            "user": "0:0" if facts.is_rootless else f"{uid}:{gid}",
            "user_name": name,
            "groups": groups,
            "work": str(self._work),
            "bundle": self._plan.bundle,
        }

    def _have_image(self, order: Mapping[str, Any]) -> Dict[str, Any]:
        """Whether the image is here, and its configuration; where it must be shipped, how many layers need not be."""
        names: List[str] = []
        if order["id"]:
            names += [str(order["id"]), container_labels.shipped_name(str(order["id"]))]
        elif order["pull"]:
            names.append(str(order["pull"]))
        problem = None
        found = self._find_image(names)
        if found is None and order["pull"]:
            try:
                self._pull(str(order["pull"]))
                found = self._find_image([str(order["pull"])])
            except EngineProblem as error:
                problem = str(error)
                if not order["id"]:
                    hint = f"docker pull {order['pull']} there shows more; or have it on the submitting machine"
                    raise NotHoused(f"the image {order['pull']} cannot be pulled: {problem}", hint) from error
        if found is not None:
            return {"has": True, **found}
        if self._engine.facts().keeps_archives:
            count = 0
        else:
            count = image_archive.shared_layers(list(order["layers"]), list(self._engine.layers()))
        return {"has": False, "layer_count": count, "problem": problem}

    def _find_image(self, names: List[str]) -> Optional[Dict[str, Any]]:
        for name in names:
            found = self._engine.find(f"/images/{name}/json")
            if found is not None:
                entrypoint = (found.get("Config") or {}).get("Entrypoint") or []
                platform = f"{found.get('Os')}/{found.get('Architecture')}"
                return {"id": found["Id"], "entrypoint": entrypoint, "platform": platform}
        return None

    def _pull(self, name: str) -> None:
        tagged = name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest"
        for piece in self._engine.lines("POST", "/images/create", query={"fromImage": tagged}):
            if "error" in piece:
                raise EngineProblem(str(piece["error"]))
            if self._is_off():
                raise _Off

    def _move_in(self, order: Mapping[str, Any]) -> Dict[str, Any]:
        image = order["load"]
        started = time.monotonic()
        if image is not None and self._find_image([image["tag"]]) is None:
            self._engine.load(lambda send: image_archive.write(self._store, image, self._while_on(send)))
            if not self._engine.facts().keeps_archives:
                image_archive.forget(self._store, image)
        loaded = time.monotonic()
        self._house.build(order, self._is_off)
        if self._is_off():
            raise _Off
        load_s = round(loaded - started, 3) if image is not None else None
        start_s = round(time.monotonic() - loaded, 3)
        return {"load_s": load_s, "start_s": start_s, "warnings": list(self._house.warnings)}

    def _while_on(self, send: Callable[[bytes], None]) -> Callable[[bytes], None]:
        def pass_on(piece: bytes) -> None:
            if self._is_off():
                raise _Off
            send(piece)

        return pass_on

    # Afterwards

    def _give_up(self, why: str) -> None:
        """Nothing will run in there: the node is released outside."""
        for role in (Role.SIDECAR, Role.JOB):
            self._tell_end(role, {**container_death.BLANK, "sentence": why})

    def _watch(self) -> None:
        for role in (Role.SIDECAR, Role.JOB):
            is_told = container_life.end_of(self._layout, role).exists()
            if not is_told and not container_life.is_alive(self._layout, role):
                name = self._name(role)
                is_sidecar = role is Role.SIDECAR
                self._tell_end(role, container_death.without_sidecar(name) if is_sidecar else self._reason(name))
        if time.monotonic() >= self._next_question:
            self._next_question = time.monotonic() + _ASK_S
            self._look_for_paused()

    def _reason(self, name: str) -> Dict[str, Any]:
        if container_life.was_rebooted(self._layout, Role.JOB):
            return container_death.rebooted(name)
        return container_death.find_reason(name, self._inspect, self._is_let_go)

    def _inspect(self) -> Optional[Dict[str, Any]]:
        try:
            return self._house.inspect(Role.JOB)
        except EngineProblem as problem:
            raise container_death.NotTold(str(problem)) from problem

    def _name(self, role: Role) -> str:
        order = publish.read_record(self._layout.order(ORDER_NAMES[Verb.HOUSE])) or {"containers": []}
        return next((str(one["name"]) for one in order["containers"] if one["role"] == role), role.value)

    def _tell_end(self, role: Role, record: Mapping[str, Any]) -> None:
        path = container_life.end_of(self._layout, role)
        if self._is_let_go() or path.exists():
            return
        publish.create_once(path, publish.to_json({"at_ns": time.time_ns(), **record}))
        events.append(self._layout.events, events.CONTAINER, role=role.value, sentence=record["sentence"])
        bell.ring(self._layout.agent_bell)

    def _look_for_paused(self) -> None:
        """Tells of a paused container; lets it go on where it is to be stopped."""
        try:
            names = self._house.paused()
            if names and self._is_off():
                self._house.unpause()
        except EngineProblem:
            return  # An engine that restarts takes nothing away from a container that lives.
        name = names[0] if names else None
        if name != self._paused:
            self._paused = name
            events.append(self._layout.events, events.PAUSED, container=name)
            bell.ring(self._layout.agent_bell)


class _Off(Exception):
    """The run is stopped: what was begun is not wanted any more."""


def main(node_root: str) -> int:
    """Serves the run whose node folder is `node_root`; returns 0 at once where another steward does."""
    layout = NodeLayout.at(node_root)
    held = lock.take(layout.steward_lock)
    if held is None:
        return 0
    record = publish.read_record(layout.plan)
    if record is None:
        return 1
    path, problem = "", None
    try:
        path = find_socket(os.environ)
    except EngineProblem as found:
        problem = found
    Steward(node_plan(record), layout, Engine(path), problem).run()
    held.close()
    return 0
