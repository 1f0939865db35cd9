r"""Takes one run from its record to its end; may be killed anywhere and started again: every step looks at the disk.

NotStarted -> Starting -> Preparing -> Running -> Finalizing -> Completed | Failed | Canceled
                                  \\-> CancelRequested -> Canceled
"""

from __future__ import annotations

import dataclasses
import errno
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from runner.bookkeeping import Bookkeeper
from runner.history import failure as failures
from runner.history import manifest, traceback_text
from runner.history.memory_warnings import memory_warnings
from runner.history.process_journal import ProcessJournal
from runner.history.record_update import update_record
from runner.history.run_record import RunRecord, read_record, with_status
from runner.history.status import RunStatus
from runner.nodes import log_checks
from runner.nodes.fleet import CancelRequested, Fleet
from runner.nodes.node import Node
from runner.phases import (
    containers,
    destinations,
    driver,
    image_build,
    inputs,
    job_prep,
    job_release,
    mpi,
    node_containers,
    secure,
)
from runner.phases.containers import HadImage, Housing
from runner.phases.ending import stop_everywhere
from runner.phases.phase import PhaseFailed, RunContext, Stage
from runner.phases.sequence import uses_mpi
from sidecar.contract import events, publish
from sidecar.contract.layout import WorkspaceLayout

if TYPE_CHECKING:
    from runner.containers.node_house import NodeHouse

# After KILL nothing can take long; a process in an uninterruptible wait may.
_STOP_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How the phases went: the phase that failed, or whether the run was canceled."""

    phase_failure: PhaseFailed | None = None
    is_canceled: bool = False

    def to_record(self) -> dict[str, Any]:
        """As it stands in `closing.json`."""
        error = self.phase_failure
        failure = error and {
            "phase": error.phase,
            "message": error.message,
            "node_id": error.node_id,
            "hint": error.hint,
        }
        return {"is_canceled": self.is_canceled, "phase_failure": failure}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Outcome:
        """The outcome in a record."""
        failure = record["phase_failure"]
        error = failure and PhaseFailed(
            failure["phase"], failure["message"], node_id=failure["node_id"], hint=failure["hint"]
        )
        return cls(phase_failure=error, is_canceled=record["is_canceled"])


class Controller:
    """The controller of one run. The caller holds the run's lock."""

    def __init__(
        self,
        context: RunContext,
        fleet: Fleet,
        *,
        clock: Callable[[], datetime],
        housing: Housing | None = None,
        node_house: NodeHouse | None = None,
    ) -> None:
        """`housing` is for a job in containers of this machine, `node_house` for one in those of other machines."""
        self._context = context
        self._housing = housing
        self._node_house = node_house
        self._container_news: node_containers.News | None = None
        self._fleet = fleet
        self._clock = clock
        self._stage = Stage(context.run, fleet)
        self._journal = ProcessJournal(context.run)
        self._record = read_record(context.run)
        self._seen: set[tuple[str, str, str]] = set()
        self._bookkeeper = Bookkeeper(WorkspaceLayout(context.run.root.parents[1]), context.run_id)
        fleet.observe(self._take_news)
        fleet.watch_cancel(self._is_cancel_wanted)

    def run(self) -> None:
        """Walks the phases to the run's end. Returns with a terminal status on disk."""
        if self._record.status.is_terminal:
            return
        run = self._context.run
        for path in (run.record, run.closing, run.cancel_request, run.abandon_request, run.failure, run.manifest):
            publish.remove_leftovers(path)
        self._bookkeeper.start()
        try:
            closing = publish.read_record(self._context.run.closing)
            if closing is None:
                closing = self._walk_and_release()
                publish.write_whole(self._context.run.closing, publish.to_json(closing))
            self._close(Outcome.from_record(closing), closing["census"])
        finally:
            self._bookkeeper.stop()
        self._bookkeeper.index()

    def _is_cancel_wanted(self) -> bool:
        if not self._context.run.record.exists():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self._context.run.record))
        return self._context.run.cancel_request.exists() or self._record.status is RunStatus.CANCEL_REQUESTED

    def _walk_and_release(self) -> dict[str, Any]:
        """The phases, and release whatever came of them. What is returned is durable before any node may go."""
        outcome = self._walk()
        self._enter(RunStatus.CANCEL_REQUESTED if outcome.is_canceled else RunStatus.FINALIZING)
        if outcome.is_canceled or outcome.phase_failure is not None:
            self._stop(events.REASON_CANCEL if outcome.is_canceled else events.REASON_FAILURE)
        census = job_release.run(self._context, self._stage)
        return {**outcome.to_record(), "census": census}

    def _walk(self) -> Outcome:
        try:
            self._enter(RunStatus.STARTING)
            if self._housing is not None:
                self._enter(RunStatus.PREPARING)
                self._note_image(containers.run(self._context, self._stage, self._housing))
            secure.run(self._context, self._stage)
            self._enter(RunStatus.PREPARING)
            if self._node_house is not None:
                self._container_news = node_containers.News(self._context, self._stage)
                self._note_image(node_containers.run(self._context, self._stage, self._node_house))
            image_build.run(self._context, self._stage)
            self._note_environment()
            job_prep.run(self._context, self._stage, inputs.run(self._context, self._stage))
            self._enter(RunStatus.RUNNING)
            (mpi if uses_mpi(self._context) else driver).run(self._context, self._stage)
        except CancelRequested:
            return Outcome(is_canceled=True)
        except PhaseFailed as error:
            return Outcome(phase_failure=error)
        return Outcome()

    def _stop(self, reason: str) -> None:
        """Stops what runs on every node that was reached, and waits until each has said that nothing is left."""
        if self._housing is not None:
            self._housing.wake()
        reached = [node for node in self._fleet if node.is_reached]
        stop_everywhere(self._stage, reason)
        self._stage.wait_unless_abandoned(
            reached,
            lambda node: node.state.is_stopped or node.state.is_ended,
            limit_s=_STOP_LIMIT_S + max((node.plan.stop_grace_s for node in reached), default=0.0),
        )

    def _close(self, outcome: Outcome, census: Mapping[str, Any]) -> None:
        """Everything that must be durable before the final status is; then that, then the nodes may go."""
        run = self._context.run
        failure = None if outcome.is_canceled else self._find_failure(outcome)
        status = RunStatus.CANCELED if outcome.is_canceled else RunStatus.FAILED if failure else RunStatus.COMPLETED
        at = self._clock()
        self._take_news()
        self._journal.close(_closing_word(status), int(at.timestamp() * 1e9))
        if self._housing is not None:
            self._housing.let_go()
        job_release.dismiss(self._stage, census)
        left = self._housing.leave() if self._housing is not None else None
        if failure is not None:
            run.failure.parent.mkdir(parents=True, exist_ok=True)
            publish.write_whole(run.failure, publish.to_json(failure) + b"\n")
        patience = manifest.Patience(run.cancel_request.exists)
        brought = destinations.bring(self._context, patience)
        logs = log_checks.check_logs(run, self._fleet)
        unsealed = manifest.seal(run, incomplete={**logs.incomplete, **self._incomplete(census)}, patience=patience)
        self._bookkeeper.finish(status)
        found = (
            *job_release.warnings(census),
            *logs.warnings,
            *memory_warnings(self._endings()),
            *unsealed,
            *brought,
            *([left] if left else []),
            *job_release.left_containers(self._fleet),
        )
        warnings = (*self._record.warnings, *found)
        self._record = dataclasses.replace(self._record, failure=failure, census=dict(census), warnings=warnings)
        self._enter(status)

    def _incomplete(self, census: Mapping[str, Any]) -> dict[str, str]:
        """Logs of processes on nodes that could not be released: nobody can say that they are whole."""
        reasons = {}
        for node in self._fleet:
            problem = census.get(node.node_id, {}).get("problem")
            if problem:
                reasons.update({str(record["log"]): str(problem) for record in node.state.started.values()})
        return reasons

    def _find_failure(self, outcome: Outcome) -> dict[str, Any] | None:
        found = failures.find_failure(
            self._endings(),
            read_tail=self._read_tail,
            stop_reason=self._stop_reason(),
            is_mpi=uses_mpi(self._context),
            is_contained=self._context.request.docker.use_docker,
        )
        error = outcome.phase_failure
        if found is None and error is not None:
            at_ns = int(self._clock().timestamp() * 1e9)
            found = failures.phase_failure(error.phase, error.node_id, error.message, at_ns=at_ns)
            if error.hint:
                found["first"]["hint"] = error.hint
        if found is not None:
            found["clock_offsets_ms"] = self._clock_offsets_ms()
        return found

    def _clock_offsets_ms(self) -> dict[str, float]:
        """What the clocks of the nodes are ahead of this machine's: the failure's times are corrected by it."""
        clocks = {node.node_id: node.clock for node in self._fleet}
        return {node_id: round(clock.wall_ns / 1e6, 3) for node_id, clock in clocks.items() if clock is not None}

    def _stop_reason(self) -> str | None:
        first = min(
            (record for node in self._fleet for record in node.state.stopping),
            key=lambda record: int(record["at_ns"]),
            default=None,
        )
        return None if first is None else str(first["reason"])

    def _endings(self) -> list[failures.Ending]:
        endings = []
        for node in self._fleet:
            for name, record in node.state.exited.items():
                started = node.state.started.get(name, {})
                endings.append(
                    failures.Ending(
                        process_name=name,
                        node_id=node.node_id,
                        record=record,
                        log=started.get("log"),
                        is_user=bool(started.get("is_user", True)),
                        clock_offset_ns=node.clock.wall_ns if node.clock is not None else 0,
                        is_after_stop=self._is_after_stop(node, record),
                    )
                )
        return endings

    def _read_tail(self, log: str) -> list[str]:
        return traceback_text.read_tail(self._context.run.root / log)

    # News and status

    def _take_news(self) -> None:
        """Passes what the nodes told on to the files that a person reads."""
        if not self._context.run.controller_lock.exists():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self._context.run.controller_lock))
        if self._container_news is not None:
            self._container_news.look()
        for node in self._fleet:
            for name, record in list(node.state.started.items()):
                if record["is_user"] and self._is_new(node.node_id, "started", name):
                    self._journal.started(node.node_id, record)
            for name, record in list(node.state.exited.items()):
                started = node.state.started.get(name)
                if (started is None or started["is_user"]) and self._is_new(node.node_id, "exited", name):
                    self._journal.exited(record, was_stopped=self._was_stopped(node.node_id, record))

    def _is_new(self, node_id: str, kind: str, name: str) -> bool:
        key = (node_id, kind, name)
        if key in self._seen:
            return False
        self._seen.add(key)
        return True

    def _was_stopped(self, node_id: str, record: Mapping[str, Any]) -> bool:
        """Whether the process ended by signal after a stop began on its node, and had not failed by itself before."""
        if record.get("raised"):
            return False
        node = next(node for node in self._fleet if node.node_id == node_id)
        return (record["signal"] is not None or bool(record["is_lost"])) and self._is_after_stop(node, record)

    def _is_after_stop(self, node: Node, record: Mapping[str, Any]) -> bool:
        return any(int(stop["monotonic_ns"]) <= int(record["monotonic_ns"]) for stop in node.state.stopping)

    def _note_environment(self) -> None:
        steps = [step for node in self._fleet if (step := node.state.step("build")) is not None]
        if not steps:
            return
        hits = [step["cache_hit"] for step in steps]
        # The first to come builds, whichever node that is; the others find what it made.
        environment = {key: steps[0][key] for key in ("interpreter", "key")}
        environment["cache_hit"] = None if hits[0] is None else all(hits)
        if self._context.request.docker.use_docker:
            # What was built, or not, is the image around the interpreter.
            known = self._record.environment or {"key": None, "cache_hit": None}
            environment.update(key=known["key"], cache_hit=known["cache_hit"])
        self._record = dataclasses.replace(self._record, environment=environment)

    def _note_image(self, had: HadImage | None) -> None:
        if had is not None:
            environment = {"interpreter": None, "key": had.key, "cache_hit": had.is_hit}
            self._record = dataclasses.replace(self._record, environment=environment)

    def _enter(self, status: RunStatus) -> None:
        """Writes the new status, unless the run is further already: a resumed controller walks the same way again."""
        if _ORDER[status] < _ORDER[self._record.status]:
            return

        def change(on_disk: RunRecord) -> RunRecord:
            """What the person or the job may have changed since this controller read it stays as it is on disk."""
            others = {name: getattr(on_disk, name) for name in ("tags", "properties", "name", "description", "extra")}
            warnings = tuple(dict.fromkeys((*on_disk.warnings, *self._record.warnings)))
            mine = dataclasses.replace(self._record, **others, warnings=warnings)
            return with_status(mine, status, at=self._clock())

        self._record = update_record(self._context.run, change)


_ORDER = {
    RunStatus.NOT_STARTED: 0,
    RunStatus.STARTING: 1,
    RunStatus.PREPARING: 2,
    RunStatus.RUNNING: 3,
    RunStatus.CANCEL_REQUESTED: 4,
    RunStatus.FINALIZING: 5,
    RunStatus.CANCELED: 6,
    RunStatus.COMPLETED: 6,
    RunStatus.FAILED: 6,
}


def _closing_word(status: RunStatus) -> str:
    """The run's end in the words of process_status.json."""
    return {RunStatus.COMPLETED: "Completed", RunStatus.CANCELED: "Terminated"}.get(status, "Failed")
