"""What earlier supervisors of a run did on this node: a fold over the events, from which the next one goes on."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Mapping, Optional, Set

from sidecar.contract import events, publish
from sidecar.contract.layout import NodeLayout
from sidecar.contract.orders import ORDER_NAMES, START_ORDERS, ProcessSpec, Verb, process_spec


class Past:
    """What is done and need not be done again, and what was begun and must be brought to its end."""

    def __init__(self) -> None:
        self.carried_out: Set[str] = set()
        self.bin: Optional[str] = None
        self.port_numbers: List[int] = []
        self.meeting_port: Optional[int] = None
        self.started_at: Optional[float] = None
        self.has_launched = False
        # The wrapper of every process that was started.
        self.wrappers: Dict[str, Mapping[str, Any]] = {}
        # Shared memory that was there before the run's first process: never the run's to remove. None before anything.
        self.foreign_segments: Optional[List[str]] = None
        self.has_ended = False
        # The stop that was begun last: why, when its KILL is due (monotonic seconds), whether nothing was left.
        self.stop_reason: Optional[str] = None
        self.kill_at = 0.0
        self.has_stopped = False

    @property
    def is_over(self) -> bool:
        """Whether the node was let go: whoever comes now was started by an agent that had not heard of it."""
        return ORDER_NAMES[Verb.QUIT] in self.carried_out

    def apply(self, record: Mapping[str, Any]) -> None:
        """Takes one event."""
        event = record["event"]
        moment = record["monotonic_ns"] / 1e9
        if event == events.ORDERED:
            self.carried_out.add(record["order"])
            if record["order"] == ORDER_NAMES[Verb.START] and self.started_at is None:
                self.started_at = moment
        elif event == events.STEP and record["state"] != events.BEGUN:
            self.carried_out.add(ORDER_NAMES[Verb(record["step"])])
            self.bin = record.get("bin", self.bin)
            self.port_numbers = record.get("ports", self.port_numbers)
            self.meeting_port = record.get("meeting_port", self.meeting_port)
        elif event == events.SUPERVISOR and self.foreign_segments is None:
            self.foreign_segments = record["segments"]
        elif event == events.LAUNCHES:
            self.has_launched = True
        elif event == events.STARTED:
            self.has_ended = False
            self.wrappers[record["process"]] = record["wrapper"]
        elif event == events.ENDED:
            self.has_ended = True
        elif event == events.STOPPING:
            self.stop_reason, self.kill_at, self.has_stopped = record["reason"], moment + record["grace_s"], False
        elif event == events.STOPPED:
            self.has_stopped = True


def read_past(layout: NodeLayout) -> Past:
    """What the events of this node add up to."""
    past = Past()
    for record in publish.read_records(layout.events):
        past.apply(record)
    _restore_tokens(layout, past.wrappers)
    if past.stop_reason is None:
        past.carried_out -= _lost_starts(layout, past.carried_out)
    return past


def begun_processes(layout: NodeLayout, carried_out: Set[str]) -> Iterator[ProcessSpec]:
    """The processes that have a start token or an exit record, of the start orders that were carried out.

    Between its token and its `started` event a process may have died with its node: nothing else tells of it.
    """
    for name in sorted(carried_out.intersection(START_ORDERS)):
        for spec in _ordered(layout, name):
            if layout.started(spec.name).exists() or layout.exit(spec.name).exists():
                yield spec


def _ordered(layout: NodeLayout, name: str) -> List[ProcessSpec]:
    order: Dict[str, Any] = publish.read_record(layout.order(name)) or {"processes": []}
    return [process_spec(record) for record in order["processes"]]


def _restore_tokens(layout: NodeLayout, wrappers: Mapping[str, Mapping[str, Any]]) -> None:
    """Writes start tokens that somebody removed: whatever was started must not be started a second time."""
    for name, wrapper in wrappers.items():
        if not layout.started(name).exists():
            layout.process(name).mkdir(parents=True, exist_ok=True)
            publish.create_once(layout.started(name), publish.to_json(wrapper))


def _lost_starts(layout: NodeLayout, carried_out: Set[str]) -> Set[str]:
    """Start orders whose wrappers were killed, with their supervisor, before all had written their start tokens.

    Carrying such an order out again is safe: a process that has its token is not started a second time.
    """
    lost = set()
    for name in carried_out.intersection(START_ORDERS):
        names = [spec.name for spec in _ordered(layout, name)]
        if not all(layout.started(process).exists() or layout.exit(process).exists() for process in names):
            lost.add(name)
    return lost
