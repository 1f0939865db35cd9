"""Looks at all nodes of a target at once: each by a part of the sidecar on it, and each tries to reach the others.

    every node, at the same time:  connect -> land -> clock -> inspect ... all are there ... meet ... all met ... close

Nothing waits longer than the two limits, whatever one node does; what it has not said by then is reported as missing.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.errors import MachineError, RunnerError
from runner.spec.compute import SshNode
from runner.transports.ssh.bootstrap import OLDEST_PYTHON
from runner.transports.ssh.landing import Landing
from runner.transports.ssh.link import SshLink
from runner.transports.ssh.ssh import SshAccess, SshTransport

_ANSWER_LIMIT_BYTES = 4 * 1024 * 1024
# The best of so many round trips is near what the network can do; the first one is slow.
_PING_COUNT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamineLimits:
    """Seconds: until every node has said what it is, and then until every pair has been tried."""

    inspect_s: float = 45.0
    meet_s: float = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What one node said; `problem` where it was not reached, or did not answer in time.

    `report` and `met` are as `sidecar/report/serving.py` gives them. The clock's offset is the node's minus ours, off
    by at most half of `round_trip_ns`.
    """

    node: SshNode
    landing: Landing | None = None
    report: Mapping[str, Any] | None = None
    met: Mapping[str, Any] | None = None
    clock_offset_ns: int | None = None
    round_trip_ns: int | None = None
    problem: RunnerError | None = None


def examine_nodes(access: SshAccess, nodes: Sequence[SshNode], limits: ExamineLimits) -> list[Examined]:
    """One answer a node, in their order, within the limits."""
    visits = [_Visit(access, node, limits) for node in nodes]
    for visit in visits:
        visit.start()
    _wait([visit.is_inspected for visit in visits], limits.inspect_s)
    # One that speaks up later has nobody to meet: what it lacks is said below.
    here = [visit for visit in visits if visit.peer() is not None]
    peers = [peer for visit in here if (peer := visit.peer()) is not None]
    for visit in visits:
        visit.let_meet(peers if visit in here else [])
    _wait([visit.has_met for visit in here], limits.meet_s)
    for visit in visits:  # Not earlier: one that leaves can no longer be found by those that still look.
        visit.let_go()
    return [visit.result(limits) for visit in visits]


def _wait(events: Sequence[threading.Event], limit_s: float) -> None:
    deadline = time.monotonic() + limit_s
    for event in events:
        event.wait(max(0.0, deadline - time.monotonic()))


class _Visit(threading.Thread):
    """The conversation with one node. A daemon: one that hangs is left behind when the command ends."""

    def __init__(self, access: SshAccess, node: SshNode, limits: ExamineLimits) -> None:
        super().__init__(name=f"examine-{node.name}", daemon=True)
        self._transport = SshTransport(access=access, node=node, argv=("report", "--node", node.name))
        self._node = node
        self._limits = limits
        self._landing: Landing | None = None
        self._report: Mapping[str, Any] | None = None
        self._met: Mapping[str, Any] | None = None
        self._clock: tuple[int, int] | None = None
        self._problem: RunnerError | None = None
        self._peers: Sequence[Mapping[str, Any]] = ()
        self._may_meet = threading.Event()
        self._may_leave = threading.Event()
        self.is_inspected = threading.Event()
        self.has_met = threading.Event()

    def run(self) -> None:
        """The whole conversation."""
        try:
            self._check_route()
            link = self._transport.connect()
            try:
                self._talk(link)
            finally:
                link.close()
        except RunnerError as error:
            self._problem = error
        except Exception as error:  # A door: the thread's end; whatever a node says must not pass for silence.
            self._problem = MachineError(f"{self._node.name}: it could not be looked at: {error!r}")
        finally:
            self.is_inspected.set()
            self.has_met.set()

    def _check_route(self) -> None:
        """Raises MachineError where compute file or ~/.ssh/config name no way to the node."""
        try:
            self._transport.access.route(self._node)
        except MachineError as error:
            error.step = "reached"
            raise

    def _talk(self, link: SshLink) -> None:
        self._landing = link.landing
        deadline = time.monotonic() + self._limits.inspect_s
        self._clock = min((self._ping(link, deadline) for _ in range(_PING_COUNT)), key=lambda found: found[1])
        question = {
            "ask": "inspect",
            "place": "work_directory",
            "oldest_python": OLDEST_PYTHON,
            "reached_at": link.landing.peer_address,
        }
        self._report = self._ask(link, question, deadline)
        self.is_inspected.set()
        self._may_meet.wait()
        others = [peer for peer in self._peers if peer["node_id"] != self._node.name]
        self._met = self._ask(link, {"ask": "meet", "peers": others}, time.monotonic() + self._limits.meet_s)
        self.has_met.set()
        self._may_leave.wait()

    def _ping(self, link: SshLink, deadline: float) -> tuple[int, int]:
        """(offset, round trip) in nanoseconds."""
        sent_ns, started_ns = time.time_ns(), time.monotonic_ns()
        answer = self._ask(link, {"ask": "clock"}, deadline)
        round_trip_ns = time.monotonic_ns() - started_ns
        return int(answer["at_ns"]) - sent_ns - round_trip_ns // 2, round_trip_ns

    def _ask(self, link: SshLink, question: Mapping[str, Any], deadline: float) -> Mapping[str, Any]:
        try:
            link.pipe.write(json.dumps(question).encode("ascii") + b"\n", deadline)
            line = link.pipe.read_line(_ANSWER_LIMIT_BYTES, deadline)
        except TimeoutError as error:
            raise MachineError(f"{self._node.name}: it does not answer any more") from error
        except OSError as error:
            raise MachineError(f"{self._node.name}: the connection broke: {error}") from error
        if not line.endswith(b"\n"):
            words = link.last_words.splitlines()
            raise MachineError(
                f"{self._node.name}: it said nothing of itself: {words[-1] if words else 'the connection ended'}"
            )
        answer: Mapping[str, Any] = json.loads(line)
        return answer

    def peer(self) -> Mapping[str, Any] | None:
        """Where the others find it; None for a node that is not there."""
        report = self._report
        if report is None or report["port"] is None or self._problem is not None:
            return None
        return {"node_id": self._node.name, "addresses": report["addresses"], "port": report["port"]}

    def let_meet(self, peers: Sequence[Mapping[str, Any]]) -> None:
        """Has the node try the others."""
        self._peers = peers
        self._may_meet.set()

    def let_go(self) -> None:
        """The node is needed no more."""
        self._may_leave.set()

    def result(self, limits: ExamineLimits) -> Examined:
        """What is known by now."""
        problem = self._problem
        if problem is None and self._report is None:
            problem = MachineError(
                f"{self._node.name}: it said nothing of itself within {limits.inspect_s:g} s",
                hint=f"is it overloaded, or is the way to it slow? try: ssh {self._node.address} true",
            )
        offset_ns, round_trip_ns = self._clock or (None, None)
        return Examined(
            node=self._node,
            landing=self._landing,
            report=self._report,
            met=self._met,
            clock_offset_ns=offset_ns,
            round_trip_ns=round_trip_ns,
            problem=problem,
        )
