"""Speaks for one node to the controller over one link; holds no state, so it may be killed at any time.

It writes the plan and the orders into files, starts the supervisor (again, if it was killed), sends the events on from
wherever the other side says it is, keeps the time indexes, and brings the user's live files into the run folder: by
links on the submitting machine, through `Outflow` from any other.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import sys
import time
from typing import Any, Dict, List, Optional

from sidecar import child, collect, last_room, processes, stopping, tree
from sidecar.contents import Shipped
from sidecar.contract import bell, events, identity, lock, publish, settings
from sidecar.contract.frames import (
    EVENTS_STREAM,
    PROTOCOL_VERSION,
    BrokenFrame,
    Frame,
    FrameKind,
    json_frame,
)
from sidecar.contract.layout import USER_LOGS, NodeLayout, RunLayout
from sidecar.contract.orders import NodePlan, node_plan
from sidecar.contract.time_index import TimeIndexer
from sidecar.growth_hint import GrowthHint
from sidecar.loss import find_loss
from sidecar.outflow import Outflow
from sidecar.peer import Peer, PeerGone
from sidecar.steward_start import StewardKeeper
from sidecar.supervisor_start import fork_supervisor, start_supervisor
from sidecar.window import Window

_CHUNK_BYTES = 256 * 1024
# How often files are looked at: while they grow, and at most when nothing happens.
_BUSY_S = 0.05
_QUIET_S = 1.0
# Folders are walked for the user's new files for at most a tenth of the time.
_SHARE = 10.0
# A supervisor that dies this often (a full disk) is not helped by another start at once.
_RESTARTS_AT_ONCE = 20
_RESTART_PAUSE_S = 2.0
_QUIT_LIMIT_S = 10.0
# A controller behind a network says every two seconds that it is there. One that is silent this long has gone, even
# where nothing says so; the next link has an agent of its own.
_SILENCE_LIMIT_S = 40.0


class Agent:
    """One connection's worth of agent."""

    def __init__(self, node_root: str, peer: Peer) -> None:
        self._layout = NodeLayout.at(node_root)
        self._peer = peer
        self._heard_at = time.monotonic()
        self._window = Window()
        self._outflow: Optional[Outflow] = None
        self._shipped: Optional[Shipped] = None
        self._plan: Optional[NodePlan] = None
        self._indexer: Optional[TimeIndexer] = None
        self._collector: Optional[collect.Collector] = None
        self._offset: Optional[int] = None
        self._scanned = 0
        self._supervisor: Optional[int] = None
        # Whether there is something for a supervisor to do.
        self._is_needed = False
        self._steward = StewardKeeper(self._layout)
        self._start_count = 0
        self._next_start = 0.0
        self._is_leaving = False
        self._loss: Optional[str] = None
        self._late_orders: List[Dict[str, Any]] = []
        self._pause_s = _BUSY_S
        self._next_tick = 0.0
        self._can_flow = False
        self._hint = GrowthHint()
        self._next_collection = 0.0

    def run(self) -> None:
        """Serves until the other side closes the link or the run is over here."""
        self._discard()
        self._greet()
        self._load_plan()
        gc.freeze()  # What was imported stays: a supervisor that is forked shares it.
        gc.enable()
        bell_descriptor = -1
        while not self._is_leaving:
            if bell_descriptor < 0 and self._layout.root.is_dir():
                bell_descriptor = bell.hang(self._layout.agent_bell)
            sources = [self._peer.incoming, self._hint.descriptor] + ([bell_descriptor] if bell_descriptor >= 0 else [])
            sinks = [self._peer.outgoing] if self._peer.has_backlog else []
            ready, writable, _ = select.select(sources, sinks, [], self._wait_s())
            for noisy in {bell_descriptor, self._hint.descriptor} & set(ready):
                bell.silence(noisy)
                self._next_tick = 0.0
            if writable:
                self._peer.flush()
            if self._peer.incoming in ready:
                self._heard_at = time.monotonic()
                for frame in self._peer.receive():
                    self._answer(frame)
            elif self._is_forsaken():
                return
            # A flood wakes this loop a thousand times a second; what looks at files need not keep pace with it.
            if time.monotonic() >= self._next_tick:
                self._tick()
            if self._outflow is not None and not self._is_leaving:
                self._flow(self._outflow)
        self._say_last_words()

    def _wait_s(self) -> float:
        if self._can_flow:
            return 0.0
        return max(0.0, self._next_tick - time.monotonic())

    def _greet(self) -> None:
        body = {
            "protocol": PROTOCOL_VERSION,
            "pid": os.getpid(),
            "python": sys.version.split()[0],
            "has_plan": self._layout.plan.exists(),
            "boot_id": identity.read_boot_id(),
            **events.stamp(),
        }
        self._peer.send(json_frame(FrameKind.HELLO, body))

    def _is_forsaken(self) -> bool:
        # Also before the plan: it may be lost with the link that brought the agent.
        is_remote = self._plan.is_remote if self._plan is not None else settings.WORK_DIRECTORY in os.environ
        return is_remote and time.monotonic() - self._heard_at > _SILENCE_LIMIT_S

    def _say_last_words(self) -> None:
        deadline = time.monotonic() + _QUIT_LIMIT_S
        while self._peer.has_backlog and time.monotonic() < deadline:
            select.select([], [self._peer.outgoing], [], _QUIET_S)
            self._peer.flush()

    def _tick(self) -> None:
        if self._plan is None or self._is_leaving:
            self._next_tick = time.monotonic() + self._pause_s
            return
        if self._has_lost():
            self._next_tick = time.monotonic() + _QUIET_S
            return
        self._steward.keep(self._plan)
        self._is_needed = self._is_needed or self._has_orders()
        if self._is_needed:
            self._keep_supervisor()
        late, self._late_orders = self._late_orders, []
        for body in late:
            self._accept_order(body)
        has_news = self._send_events()
        with contextlib.suppress(OSError):  # A full disk: the bytes wait in the logs themselves, the next tick tries.
            has_news |= self._look_at_files()
        self._pause_s = _BUSY_S if has_news else min(self._pause_s * 1.5, _QUIET_S)
        if self._outflow is not None:
            self._outflow.discover()
            if self._outflow.look():
                self._pause_s = _BUSY_S
        self._next_tick = time.monotonic() + self._pause_s
        if has_news:
            self._hint.disarm()
        elif self._pause_s >= _QUIET_S and self._is_needed and self._indexer is not None and not self._hint.is_armed:
            self._hint.arm(self._indexer.logs)

    def _has_orders(self) -> bool:
        """Whether orders came, now or to an earlier agent.

        On the submitting machine nobody waits for them: its supervisor starts while the controller thinks. Where many
        nodes are reached at once, that one is what all wait for.
        """
        assert self._plan is not None, "orders follow the plan"
        with contextlib.suppress(FileNotFoundError):
            return not self._plan.is_remote or self._layout.events.exists() or bool(os.listdir(self._layout.orders))
        return True

    def _has_lost(self) -> bool:
        """Whether what the node knew of the run is gone; then it is told, and all that still comes is the end."""
        if self._loss is None:
            self._loss = find_loss(self._layout, self._offset)
            if self._loss is not None:
                self._send(json_frame(FrameKind.PROBLEM, {"message": self._loss, "is_loss": True}))
        return self._loss is not None

    def _flow(self, outflow: Outflow) -> None:
        """Sends what has grown, as far as the link and its window take it."""
        has_sent = outflow.pump(has_room=lambda: self._peer.has_room)
        self._can_flow = has_sent and self._peer.has_room and self._window.room_bytes > 0 and outflow.look()

    # What the controller asks

    def _answer(self, frame: Frame) -> None:
        if frame.kind is FrameKind.PLAN:
            try:
                self._accept_plan(frame.body)
            except OSError as error:
                message = f"{error.filename or self._layout.root}: {error.strerror}"
                self._send(json_frame(FrameKind.PROBLEM, {"message": message}))
        elif frame.kind is FrameKind.ORDER:
            self._accept_order(frame.body)
        elif frame.kind is FrameKind.WANT and frame.stream == EVENTS_STREAM:
            self._offset = frame.offset
        elif frame.kind is FrameKind.WANT and self._outflow is not None:
            self._outflow.want(frame)
        elif frame.kind is FrameKind.ACK:
            self._window.acknowledged(frame.offset)
        elif frame.kind in (FrameKind.NEED, FrameKind.BLOB) and self._shipped is not None:
            for answer in self._shipped.take(frame):
                self._send(answer)
        elif frame.kind is FrameKind.PING:
            is_full = last_room.is_used_up(self._layout)
            self._send(json_frame(FrameKind.PONG, {**frame.body, "is_disk_full": is_full, **events.stamp()}))
            return
        if frame.kind not in (FrameKind.ACK, FrameKind.BLOB):
            self._pause_s = min(self._pause_s, _BUSY_S)
            self._next_tick = 0.0

    def _accept_plan(self, body: Dict[str, Any]) -> None:
        plan = node_plan(body).resolved(work=os.environ.get(settings.WORK_DIRECTORY, ""), bundle=os.getcwd())
        for folder in (self._layout.root, self._layout.orders, self._layout.processes):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self._layout.plan.exists():  # Else nothing is written: on a full disk it could not be.
            publish.create_once(self._layout.plan, publish.to_json(plan.to_record()))
        self._load_plan()
        self._steward.keep(self._plan)
        self._send(json_frame(FrameKind.ACCEPTED, {"order": "plan"}))

    def _load_plan(self) -> None:
        record = publish.read_record(self._layout.plan)
        if record is None:
            return
        self._plan = node_plan(record)
        run = RunLayout.at(self._plan.run_root)
        self._indexer = TimeIndexer(run)
        self._indexer.add(run.job_prep_log(self._plan.node_id))
        self._indexer.add(run.job_post_log(self._plan.node_id))
        if self._plan.node_rank == 0:
            self._indexer.add(run.image_build_log)
        self._collector = collect.Collector(
            self._layout.work / USER_LOGS,
            run.user_logs,
            self._plan.node_id,
            memory=self._layout.collected(USER_LOGS),
        )
        if self._plan.is_remote:
            self._outflow = Outflow(run, self._plan.node_id, self._send, self._window)
            self._shipped = Shipped(self._plan, self._layout.root)

    def _accept_order(self, body: Dict[str, Any]) -> None:
        name = str(body["order"])
        if not name.replace("-", "").isalnum():
            raise BrokenFrame(f"not the name of an order: {name!r}")
        if body["verb"] == "quit":
            self._quit(name, body)
            return
        if self._plan is None:
            return  # The plan was refused: there is nobody to carry an order out, and no folder to keep it in.
        try:
            publish.create_once(self._layout.order(name), publish.to_json(body))
        except OSError as error:
            if error.errno not in last_room.FULL:
                raise
            last_room.give_up(self._layout)
            self._late_orders.append(body)
            return
        bell.ring(self._layout.bell)
        bell.ring(self._layout.steward_bell)
        self._send(json_frame(FrameKind.ACCEPTED, {"order": name}))

    def _quit(self, name: str, body: Dict[str, Any]) -> None:
        """Lets the supervisor go and removes the node's folder for this run; the last thing an agent does.

        With `keep` in the order the folder stays: it has what could not be collected.
        """
        self._is_leaving = True
        if self._layout.plan.exists():
            publish.create_once(self._layout.order(name), publish.to_json(body))
            bell.ring(self._layout.bell)
            bell.ring(self._layout.steward_bell)
            deadline = time.monotonic() + _QUIT_LIMIT_S
            next_sign = time.monotonic() + _QUIET_S
            while (self._is_supervised() or self._steward.is_there()) and time.monotonic() < deadline:
                time.sleep(0.005)
                if time.monotonic() >= next_sign:
                    # Nothing new: but a link that is silent for so long would be given up.
                    with contextlib.suppress(OSError):  # The folder is removed whether somebody listens or not.
                        self._send(json_frame(FrameKind.ACCEPTED, {"order": "plan"}))
                    next_sign = time.monotonic() + _QUIET_S
            self._look_at_files()
        if self._loss is not None:
            # Whoever supervised may have gone before, and must not be started again.
            assert self._plan is not None, "it had a plan to lose"
            stopping.leave_nothing(processes.Mark(self._plan.run_id, self._plan.node_id))
        if self._shipped is not None:
            self._shipped.discard()
        # A steward that is still there cannot reach its engine, and gives up soon.
        has_containers = self._steward.is_there()
        is_kept = bool(body.get("keep"))
        if not is_kept:
            self._remove()
        is_removed = is_kept or not self._layout.root.exists()
        told = {"order": name, "is_removed": is_removed, "has_containers": has_containers}
        self._send(json_frame(FrameKind.ACCEPTED, told))

    def _remove(self) -> None:
        """Takes the folder away in one step: in half a folder the next agent would begin anew what is over."""
        with contextlib.suppress(FileNotFoundError):
            os.rename(self._layout.root, self._layout.discarded)
        self._discard()

    def _discard(self) -> None:
        """Removes what an agent was killed over removing."""
        if os.path.lexists(self._layout.discarded):
            tree.remove(str(self._layout.discarded))

    # What the agent does by itself

    def _is_supervised(self) -> bool:
        # One that was only just started does not have its lock yet, and would make the folder anew.
        is_starting = self._supervisor is not None and not child.has_ended(self._supervisor)
        return is_starting or lock.holder(self._layout.supervisor_lock) is not None

    def _keep_supervisor(self) -> None:
        if self._plan is not None and self._plan.is_contained and not self._layout.container_end.exists():
            return  # The keeper in the container does it.
        if self._is_supervised():
            return
        if self._start_count >= _RESTARTS_AT_ONCE and time.monotonic() < self._next_start:
            return
        assert self._plan is not None, "a supervisor is started for a plan"
        self._start_count += 1
        self._next_start = time.monotonic() + _RESTART_PAUSE_S
        # Forking is ten times as fast as another start of Python, and safe only where there is no second thread.
        if not self._hint.has_threads:
            self._supervisor = fork_supervisor(self._plan, self._layout)
        else:
            process = start_supervisor(self._plan, self._layout)
            self._supervisor, process.returncode = process.pid, 0  # Reaped by its pid, not by Popen.

    def _send_events(self) -> bool:
        """Sends what the other side has not seen; says whether there was any."""
        if self._offset is None or not self._peer.has_room:
            return False
        try:
            with open(self._layout.events, "rb") as stream:
                stream.seek(self._offset)
                content = stream.read(_CHUNK_BYTES)
        except FileNotFoundError:
            return False
        # Whole lines; a line that is longer goes in pieces, of which the last is torn only while it is being written.
        end = content.rfind(b"\n") + 1 or (len(content) if len(content) == _CHUNK_BYTES else 0)
        if end == 0:
            return False
        self._send(Frame(FrameKind.DATA, content[:end], stream=EVENTS_STREAM, offset=self._offset))
        self._offset += end
        return True

    def _look_at_files(self) -> bool:
        assert self._plan is not None and self._indexer is not None, "files belong to a plan"
        run = RunLayout.at(self._plan.run_root)
        for record, offset in publish.iterate_records(self._layout.events, offset=self._scanned):
            self._scanned = offset
            if record["event"] == events.STARTED:
                self._indexer.add(run.root / record["log"])
        now = time.monotonic()
        if self._collector is not None and now >= self._next_collection:
            self._collector.collect(is_final=False)
            self._next_collection = now + _SHARE * (time.monotonic() - now)
        return self._indexer.look()

    def _send(self, frame: Frame) -> None:
        self._peer.send(frame)


def main(node_root: str) -> int:
    """Serves the controller at the other end of standard input and output."""
    peer = Peer(os.dup(0), os.dup(1))
    # Nothing but frames may travel: a stray print of any library goes to standard error.
    os.dup2(2, 1)
    try:
        Agent(node_root, peer).run()
    except PeerGone:
        return 0
    except (BrokenFrame, BrokenPipeError, ConnectionError):
        return 1
    return 0
