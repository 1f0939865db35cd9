"""The steps of a node while they run: each in a child of the supervisor, begun again once where it was killed.

A stop ends every step but release, which has the stop behind it. What a step then says of its end, it says itself.
"""

from __future__ import annotations

import functools
import os
from typing import Any, Dict, List, Mapping, Optional, Set

from sidecar import child, last_room, processes, wrapper
from sidecar.contract import events, publish
from sidecar.contract.layout import NodeLayout
from sidecar.contract.orders import NodePlan, Verb

# Every order that is carried out by a step.
STEPS = frozenset({Verb.BUILD, Verb.INPUTS, Verb.PREPARE, Verb.MEET, Verb.RELEASE})


class StepProcesses:
    """Starts the steps of one run on one node, and takes what they say of their end."""

    def __init__(self, plan: NodePlan, layout: NodeLayout, journal: last_room.Journal) -> None:
        self._plan = plan
        self._layout = layout
        self._journal = journal
        self._verbs: Dict[int, Verb] = {}
        self._begun_again: Set[Verb] = set()

    @property
    def pids(self) -> List[int]:
        """The steps that run."""
        return list(self._verbs)

    @property
    def unstoppable(self) -> List[int]:
        """The pid of the release step, if it runs: no stop may end it."""
        return [pid for pid, verb in self._verbs.items() if verb is Verb.RELEASE]

    def installers(self) -> Set[int]:
        """What the stoppable steps have started: each ends its own, and would take their end for a failure."""
        steps = [pid for pid, verb in self._verbs.items() if verb is not Verb.RELEASE]
        table = processes.read_table() if steps else {}
        return {pid for step in steps for pid in processes.descendants(step, table)}

    def is_running(self, verb: Verb) -> bool:
        """Whether the step runs now."""
        return verb in self._verbs.values()

    def begin(self, verb: Verb, body: Mapping[str, Any]) -> None:
        """Starts the step in a child."""
        pid = child.fork(
            functools.partial(child.run_step, verb, self._plan, self._layout, body),
            f"step {verb.value} {self._plan.run_id}",
        )
        self._verbs[pid] = verb

    def take(self, pid: int) -> Optional[Verb]:
        """The step that this dead child was; None for any other."""
        return self._verbs.pop(pid, None)

    def result(self, verb: Verb, status: int, *, is_stopping: bool) -> Optional[Dict[str, Any]]:
        """What the step has said of its end; None where it was killed over it and is to begin again, once."""
        for record in reversed(publish.read_records(self._layout.events)):
            if record["event"] == events.STEP and record["step"] == verb.value and record["state"] != events.BEGUN:
                return dict(record)
        if verb not in self._begun_again and not is_stopping:
            self._begun_again.add(verb)
            return None
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        how = f"was killed by {wrapper.signal_name(number)}" if number else "could not tell how it ended"
        return self.refuse(verb, f"the {verb.value} step {'was stopped' if is_stopping else how}")

    def refuse(self, verb: Verb, message: str) -> Dict[str, Any]:
        """Tells that the step failed without a word of its own; returns what was told."""
        told: Dict[str, Any] = {"step": verb.value, "state": events.FAILED, "message": message, "hint": None}
        self._journal.tell(events.STEP, **told)
        return told
