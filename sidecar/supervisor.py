"""Owns the processes of one run on one node; survives the agent, the link and the submitter.

One thread, one loop: it sleeps in `select` until a bell rings, a child ends or a timer is due. What it knows is in
files, so a second supervisor takes over where a killed one stopped:

    plan.json ---> orders/ ---(each once)---> steps and processes ---> events.jsonl
"""

from __future__ import annotations

import contextlib
import functools
import os
import select
import signal
import sys
import time
from typing import Any, Dict, List, Mapping, Optional, Set

from sidecar import (
    census,
    child,
    job_environment,
    kernel,
    last_room,
    mpi_launches,
    own_address,
    ports,
    processes,
    shared_memory,
    stopping,
    wrapper,
)
from sidecar.contract import bell, events, lock, publish
from sidecar.contract.layout import NodeLayout, RunLayout
from sidecar.contract.orders import ORDER_NAMES, NodePlan, ProcessSpec, Verb, node_plan, process_spec
from sidecar.forgotten import Forgotten
from sidecar.past import Past, begun_processes, read_past
from sidecar.step_processes import STEPS, StepProcesses
from sidecar.watch import ProcessWatch

# Longer: an order whose ring was lost waits. Shorter: idle cost.
_IDLE_S = 1.0
_STOPPING_S = 0.03
_SETTLING_S = 0.05
_LAUNCHING_S = 0.005
# An MPI launcher that has not said by then what it wants started never will.
_LAUNCH_LIMIT_S = 60.0
# Other ranks that fail of the same cause get this long to say so themselves before they are stopped.
_SETTLE_S = 0.2
# Processes that a script left running in the background get this long after it ended.
_LINGER_S = 1.0
# Looks at what the processes use: often while they start, seldom while they go on.
_FIRST_LOOK_S = 0.1
_LOOK_S = 10.0


class Supervisor:
    """The supervisor of one run on one node."""

    def __init__(self, plan: NodePlan, layout: NodeLayout) -> None:
        self._plan = plan
        self._layout = layout
        self._run = RunLayout.at(plan.run_root)
        self._mark = processes.Mark(plan.run_id, plan.node_id)
        self._journal = last_room.Journal(layout)
        self._stop = stopping.Stop(self._mark, supervisor=os.getpid())
        self._watch = ProcessWatch(layout)
        self._belongings = census.Belongings(foreign=())
        self._steps = StepProcesses(plan, layout, self._journal)
        self._carried_out: Set[str] = set()
        self._reserved: Optional[ports.ReservedPorts] = None
        self._port_numbers: List[int] = []
        self._bin: Optional[str] = None
        self._ended = False
        self._deadline: Optional[float] = None
        self._failed_at: Optional[float] = None
        self._idle_since: Optional[float] = None
        self._next_look = 0.0
        self._look_pause_s = _FIRST_LOOK_S
        self._mpi: Optional[Mapping[str, Any]] = None
        self._launch_deadline = 0.0
        self._is_leaving = False

    def run(self) -> None:
        """Serves until the controller orders it to quit."""
        kernel.become_subreaper()
        self._adopt()
        bell_descriptor = bell.hang(self._layout.bell)
        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self._begin_stop(events.REASON_CANCEL, self._plan.stop_grace_s))
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)
        forgotten = Forgotten(self._layout, self._run, is_remote=self._plan.is_remote)
        while True:
            if forgotten.is_certain():
                stopping.leave_nothing(self._mark)
                forgotten.remove()
                break
            with last_room.forgiven(self._layout):  # What found no room is tried again in the next turn.
                self._turn()
            if self._is_leaving:
                stopping.leave_nothing(self._mark)
                break
            sources = [bell_descriptor, wake_read, *self._watch.descriptors]
            ready, _, _ = select.select(sources, [], [], self._wait_s())
            for descriptor in ready:
                if descriptor in (bell_descriptor, wake_read):
                    bell.silence(descriptor)
        bell.ring(self._layout.agent_bell)

    # One turn: what has happened, what was asked for, what is due.

    def _turn(self) -> None:
        self._journal.flush()
        self._reap()
        self._watch.refresh()
        self._take_orders()
        self._read_launches()
        self._check_failure()
        self._check_deadline()
        self._advance_stop()
        self._check_end()
        self._look()

    def _wait_s(self) -> float:
        if self._stop.is_under_way:
            return _STOPPING_S
        due = [_IDLE_S]
        now = time.monotonic()
        if self._watch.running_names:
            due.append(self._next_look - now)
            if self._failed_at is not None and self._stop.stage is stopping.Stage.IDLE:
                due.append(self._failed_at + _SETTLE_S - now)
            if self._deadline is not None:
                due.append(self._deadline - now)
        if self._mpi is not None:
            due.append(_LAUNCHING_S)
        if self._journal.has_backlog or self._watch.is_settling or (self._idle_since is not None and not self._ended):
            due.append(_SETTLING_S)
        return max(0.0, min(due))

    def _adopt(self) -> None:
        """Takes over from a supervisor that is gone, or starts fresh."""
        past = read_past(self._layout)
        self._carried_out = past.carried_out
        present = shared_memory.list_names() if past.foreign_segments is None else past.foreign_segments
        self._belongings = census.Belongings(foreign=present)
        self._bin, self._port_numbers = past.bin, past.port_numbers
        self._ended, self._is_leaving = past.has_ended, past.is_over
        if past.started_at is not None and self._plan.max_run_duration_s:
            self._deadline = past.started_at + self._plan.max_run_duration_s
        if past.meeting_port and ORDER_NAMES[Verb.START] not in past.carried_out:
            with contextlib.suppress(OSError):  # Taken meanwhile: the others say that they cannot reach this node.
                self._reserved = ports.ReservedPorts(0, meeting_port=past.meeting_port)
        self._resume_launching(has_launched=past.has_launched)
        for spec in begun_processes(self._layout, past.carried_out):
            self._watch.expect(spec.name, is_user=spec.is_user)
        self._watch.refresh()
        self._tell_start()
        self._journal.tell(
            events.SUPERVISOR,
            pid=os.getpid(),
            adopted=sorted(self._watch.running_names),
            segments=present,
        )
        self._resume_stop(past)
        bell.ring(self._layout.agent_bell)

    def _resume_stop(self, past: Past) -> None:
        if past.stop_reason is not None and past.has_stopped:
            self._stop.stage = stopping.Stage.DONE
        elif past.stop_reason is not None:
            grace_s = max(0.0, past.kill_at - time.monotonic())
            self._stop.begin(past.stop_reason, grace_s=grace_s, helpers=self._watch.helper_pids, spared=())

    def _tell_start(self) -> None:
        """What started with the sidecar, for the person who reads the run; a full disk must not end a supervisor."""
        path = self._run.start_cms(self._plan.node_id)
        adopted = ", ".join(sorted(self._watch.running_names)) or "nothing"
        now, python = events.utc_text(time.time_ns()), sys.version.split()[0]
        sentence = f"{now} supervisor pid {os.getpid()}, Python {python}, adopted {adopted}"
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            publish.append_line(path, sentence.encode())

    def _resume_launching(self, *, has_launched: bool) -> None:
        order = publish.read_record(self._layout.order(ORDER_NAMES[Verb.START]))
        if order and order.get("mpi") and not has_launched and ORDER_NAMES[Verb.START] in self._carried_out:
            self._mpi = order["mpi"]
            self._launch_deadline = time.monotonic() + _LAUNCH_LIMIT_S

    def _note_results(self, record: Mapping[str, Any]) -> None:
        self._bin = record.get("bin", self._bin)
        self._port_numbers = record.get("ports", self._port_numbers)
        self._carried_out.add(ORDER_NAMES[Verb(record["step"])])

    def _reap(self) -> None:
        """Takes every child that has ended: steps, wrappers, and whatever was orphaned to us."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            verb = self._steps.take(pid)
            if verb is not None:
                self._finish_step(verb, status)
            else:
                # Between two looks it may have lived, made a segment and died.
                self._belongings.pids.add(pid)
                self._watch.note_ended(pid, status)

    # Orders

    def _take_orders(self) -> None:
        for name in sorted(self._order_names()):
            order = publish.read_record(self._layout.order(name))
            if order is None or self._steps.is_running(Verb(order["verb"])):
                continue
            verb = Verb(order["verb"])
            if verb in STEPS:
                self._begin_step(verb)
                continue
            self._carry_out(verb, order)
            self._carried_out.add(name)
            self._journal.tell(events.ORDERED, order=name)
            bell.ring(self._layout.agent_bell)

    def _order_names(self) -> List[str]:
        with contextlib.suppress(FileNotFoundError):
            names = [name[: -len(".json")] for name in os.listdir(self._layout.orders) if name.endswith(".json")]
            return [name for name in names if name not in self._carried_out and not name.startswith(".")]
        return []

    def _carry_out(self, verb: Verb, order: Mapping[str, Any]) -> None:
        if verb is Verb.START:
            self._start([process_spec(record) for record in order["processes"]])
            if order.get("mpi"):
                self._mpi = order["mpi"]
                self._launch_deadline = time.monotonic() + _LAUNCH_LIMIT_S
        elif verb is Verb.STOP:
            self._begin_stop(order["reason"], float(order["grace_s"]))
        elif verb is Verb.QUIT:
            self._is_leaving = True

    def _begin_step(self, verb: Verb) -> None:
        body: Dict[str, Any] = {}
        if verb is Verb.RELEASE:
            self._look(now=True)
            self._belongings.pids.update(self._watch.pids)
            body = {
                "supervisor": os.getpid(),
                "belongings": self._belongings.to_record(),
                "ports": self._port_numbers,
            }
        elif self._stop.stage is not stopping.Stage.IDLE:
            self._note_results(self._steps.refuse(verb, f"the {verb.value} step was stopped"))
            return
        elif verb is Verb.PREPARE:
            self._reserved = ports.ReservedPorts(self._plan.port_count, meeting_port=0 if self._plan.meets else None)
            body = {"ports": self._reserved.numbers, "bin": self._bin, "meeting_port": self._reserved.meeting_port}
        self._steps.begin(verb, body)

    def _finish_step(self, verb: Verb, status: int) -> None:
        is_stopping = self._stop.stage is not stopping.Stage.IDLE and verb is not Verb.RELEASE
        result = self._steps.result(verb, status, is_stopping=is_stopping)
        if result is not None:
            self._note_results(result)
        bell.ring(self._layout.agent_bell)

    # Processes

    def _start(self, specs: List[ProcessSpec]) -> None:
        if self._stop.stage is not stopping.Stage.IDLE:
            return
        if self._reserved is not None:
            self._reserved.release()
            self._reserved = None
        if self._plan.max_run_duration_s and self._deadline is None:
            self._deadline = time.monotonic() + self._plan.max_run_duration_s
        self._ended = False
        place = wrapper.Place(self._layout, self._run, own_address.read(self._plan))
        for spec in specs:
            environ = job_environment.compose(os.environ, self._plan, spec, node=self._layout, bin_folder=self._bin)
            self._watch.expect(spec.name, is_user=spec.is_user)
            pid = child.fork(
                functools.partial(wrapper.run, spec, environ, place), f"process {spec.name} {self._plan.run_id}"
            )
            self._watch.note_wrapper(spec.name, pid)

    def _read_launches(self) -> None:
        """Tells the controller what the MPI launcher wants started, once the launcher has said it."""
        if self._mpi is None:
            return
        argvs = mpi_launches.wanted(
            self._mpi["flavour"],
            log=self._run.mpi_log,
            layout=self._layout,
            host_names=self._mpi["host_names"],
        )
        if argvs is None and time.monotonic() < self._launch_deadline and self._watch.running_names:
            return
        self._mpi = None
        if argvs is not None:
            self._journal.tell(events.LAUNCHES, argvs=argvs)
            bell.ring(self._layout.agent_bell)
        elif self._watch.running_names:
            self._begin_stop(events.REASON_FAILURE, self._plan.stop_grace_s)

    def _check_failure(self) -> None:
        """The first process that fails here brings down the rest of this node, without waiting for anybody."""
        if self._stop.stage is not stopping.Stage.IDLE or self._watch.first_failure is None:
            return
        now = time.monotonic()
        if self._failed_at is None:
            self._failed_at = now
        elif now - self._failed_at >= _SETTLE_S and self._watch.running_names:
            self._begin_stop(events.REASON_FAILURE, self._plan.stop_grace_s)

    def _check_deadline(self) -> None:
        if self._deadline is not None and time.monotonic() >= self._deadline and self._watch.running_names:
            self._deadline = None
            self._begin_stop(events.REASON_TIMEOUT, self._plan.stop_grace_s)

    def _begin_stop(self, reason: str, grace_s: float) -> None:
        self._look(now=True)
        if not self._stop.is_under_way:
            self._journal.tell(events.STOPPING, reason=reason, grace_s=grace_s)
        helpers = self._watch.helper_pids | self._steps.installers()
        self._stop.begin(reason, grace_s=grace_s, helpers=helpers, spared=self._steps.unstoppable)

    def _advance_stop(self) -> None:
        if not self._stop.is_under_way:
            return
        was = self._stop.stage
        self._stop.advance(helpers=self._watch.helper_pids, spared=self._steps.unstoppable, cleaning=self._steps.pids)
        if self._stop.stage is stopping.Stage.KILLING:
            processes.send(self._steps.installers(), signal.SIGKILL)
        if self._stop.stage is stopping.Stage.KILLING and was is stopping.Stage.ASKING:
            self._journal.tell(events.KILLING, count=self._stop.killed_count)
        elif self._stop.stage is stopping.Stage.DONE:
            self._reap()
            self._watch.refresh()
            self._watch.give_up_on_the_dead()
            self._journal.tell(events.STOPPED, reason=self._stop.reason)
            bell.ring(self._layout.agent_bell)

    def _check_end(self) -> None:
        """Says `ended` once every process is accounted for and nothing they left behind still runs."""
        if self._ended or not self._watch.has_started_all or self._watch.running_names or self._stop.is_under_way:
            return
        now = time.monotonic()
        if self._idle_since is None:
            self._idle_since = now
        remaining = processes.of_run(self._mark, supervisor=os.getpid(), spared=self._steps.pids)
        if remaining and now - self._idle_since < _LINGER_S:
            return
        if remaining and self._stop.stage is not stopping.Stage.DONE:
            self._begin_stop(events.REASON_LEFT_BEHIND, self._plan.stop_grace_s)
            return
        self._ended = True
        self._idle_since = None
        self._journal.tell(events.ENDED)
        bell.ring(self._layout.agent_bell)

    def _look(self, *, now: bool = False) -> None:
        """Notes what the processes use, and tells when one was stopped or goes on."""
        if not now and time.monotonic() < self._next_look:
            return
        self._look_pause_s = min(self._look_pause_s * 2, _LOOK_S)
        self._next_look = time.monotonic() + self._look_pause_s
        if not self._watch.running_names:
            return
        self._belongings.look(processes.of_run(self._mark, supervisor=os.getpid(), spared=self._steps.pids))
        for watched, state in self._watch.changed_states():
            event = events.STALLED if state == "T" else events.RESUMED
            self._journal.tell(event, process=watched.name, state=state)
            bell.ring(self._layout.agent_bell)


def main(node_root: str) -> int:
    """Supervises the run whose node folder is `node_root`; returns 0 at once where another supervisor does."""
    layout = NodeLayout.at(node_root)
    held = lock.take(layout.supervisor_lock)
    if held is None:
        return 0
    record = publish.read_record(layout.plan)
    if record is None:
        return 1
    Supervisor(node_plan(record), layout).run()
    held.close()
    return 0
