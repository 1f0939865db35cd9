"""What every phase works with: the run as it was asked for, the nodes, and a log a node for the person who reads it.

secure -> image build -> job prep -> driver | mpi -> job release (always)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from runner.errors import MachineError
from runner.launchers.launch import ReadyNode
from runner.nodes.fleet import Fleet
from runner.nodes.node import Node
from runner.phases import meeting_place
from runner.spec.request import RunRequest
from sidecar.contract import publish
from sidecar.contract.layout import RunLayout
from sidecar.contract.orders import ORDER_NAMES, NodePlan, Verb
from sidecar.contract.time_index import TimeIndexer


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """All that deciding needs; equal contexts give equal plans."""

    run_id: str
    request: RunRequest
    run: RunLayout
    nodes: tuple[NodePlan, ...]
    node_folders: Mapping[str, str]
    contact_limit_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PhasePlan:
    """What a phase is going to do, in sentences; `--dry-run` prints them."""

    phase: str
    lines: tuple[str, ...]


class Phase(Protocol):
    """A module with these two functions."""

    def plan(self, context: RunContext) -> PhasePlan:
        """Decides. Pure."""

    def run(self, context: RunContext, stage: Stage) -> None:
        """Acts. May be called again after a crash at any point. Raises PhaseFailed."""


class PhaseFailed(MachineError):
    """A phase could not do its work; the run goes on with job release and ends as Failed."""

    def __init__(self, phase: str, message: str, *, node_id: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.phase = phase
        self.node_id = node_id


class Stage:
    """The acting half's tools."""

    def __init__(self, run: RunLayout, fleet: Fleet) -> None:
        self.fleet = fleet
        self._run = run
        self._indexer = TimeIndexer(run)

    def say(self, node_id: str, sentence: str) -> None:
        """One sentence in the node's `55_` log: `2026-11-20T22:30:10Z Connected`."""
        log = self._run.execution_log(node_id)
        log.parent.mkdir(parents=True, exist_ok=True)
        self._indexer.add(log)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        publish.append_line(log, f"{stamp} {sentence}".encode("utf-8", "surrogateescape"))
        self._indexer.look()

    def wait_unless_abandoned(
        self,
        nodes: Sequence[Node],
        is_done: Callable[[Node], bool],
        *,
        look_s: float = 0.5,
        limit_s: float | None = None,
    ) -> None:
        """Waits until `is_done` for each of `nodes`, however long one is out of reach.

        Not for one that is out of reach where a person said `runner cancel --abandon`, nor longer than `limit_s` for
        those that answer. Callers look again who is done.
        """
        deadline = None if limit_s is None else time.monotonic() + limit_s

        def is_over() -> bool:
            is_late = deadline is not None and time.monotonic() >= deadline
            return all(self._may_be_left(node, is_late=is_late) or is_done(node) for node in nodes)

        self.fleet.wait(is_over, look_s=look_s, heeds_cancel=False)

    def _may_be_left(self, node: Node, *, is_late: bool) -> bool:
        if node.is_removed or node.state.is_lost:
            return True
        return self.is_abandoned(node) or (is_late and node.contact_lost_at is None)

    def is_abandoned(self, node: Node) -> bool:
        """Whether the node is out of reach, and a person said not to wait for those that are."""
        return node.contact_lost_at is not None and self._run.abandon_request.exists()

    def step_everywhere(self, verb: Verb, phase: str, *, body: Mapping[str, Any] | None = None) -> None:
        """Orders a step on all nodes and waits for it. Raises PhaseFailed for the first node that could not do it."""
        for node in self.fleet:
            node.order(ORDER_NAMES[verb], verb, body)
        self.fleet.wait(
            lambda: all(node.state.step(verb.value) for node in self.fleet) or self._failed(verb) is not None
        )
        failed = self._failed(verb)
        if failed is not None:
            node, record = failed
            self.say(node.node_id, f"{phase} failed: {record['message']}")
            raise PhaseFailed(phase, record["message"], node_id=node.node_id, hint=record.get("hint"))

    def _failed(self, verb: Verb) -> tuple[Node, Mapping[str, Any]] | None:
        for node in self.fleet:
            record = node.state.step(verb.value)
            if record is not None and record["state"] == "failed":
                return node, record
        return None

    def ready_nodes(self) -> Sequence[ReadyNode]:
        """The facts that the nodes reported, once they are built and prepared."""
        ready = []
        addresses = meeting_place.addresses(self.fleet)
        for node in self.fleet:
            built, prepared = node.state.step(Verb.BUILD.value), node.state.step(Verb.PREPARE.value)
            facts = ((prepared or {}).get("networks") or {}).get(addresses.get(node.node_id), {})
            assert built is not None and prepared is not None, "the driver comes after job preparation"
            ready.append(
                ReadyNode(
                    node_id=node.node_id,
                    address=addresses.get(node.node_id, node.plan.address),
                    interpreter=built["interpreter"],
                    bin_folder=built["bin"],
                    bundle=prepared["bundle"],
                    ports=tuple(prepared["ports"]),
                    programs=prepared["programs"],
                    network=facts.get("network"),
                    interface=facts.get("interface"),
                    is_root=prepared["is_root"],
                )
            )
        return ready
