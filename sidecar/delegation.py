"""Hands the steps around the job from the supervisor's container to the attendant's, and does without it if it must."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

from sidecar import container_end, meeting, steps
from sidecar.contract import bell, events, lock, publish
from sidecar.contract.layout import NodeLayout
from sidecar.contract.orders import ORDER_NAMES, Verb

HANDED = (Verb.PREPARE, Verb.RELEASE)
# Short against the start of a job; a look costs a microsecond or two.
_LOOK_S = 0.005


def request(layout: NodeLayout, verb: Verb) -> Path:
    """What the attendant is to do."""
    return layout.handed / f"{ORDER_NAMES[verb]}.json"


def reply(layout: NodeLayout, verb: Verb) -> Path:
    """That it has been done; how it went stands in the events."""
    return layout.handed / f"{ORDER_NAMES[verb]}.done.json"


def run(verb: Verb, node: steps.Node, body: Mapping[str, Any]) -> Optional[int]:
    """Has the step done elsewhere and returns its exit code; None where it is to be done here."""
    if node.layout.container_end.exists() and verb is not Verb.RELEASE:
        message = container_end.sentence(node.layout)
        events.append(node.layout.events, events.STEP, step=verb.value, state=events.FAILED, message=message, hint=None)
        return 1
    if verb not in HANDED:
        return None
    node.layout.handed.mkdir(exist_ok=True)
    publish.create_once(request(node.layout, verb), publish.to_json(_facts(verb, node, body)))
    bell.ring(node.layout.attendant_bell)
    while not reply(node.layout, verb).exists():
        if _is_alone(node.layout):
            return None
        time.sleep(_LOOK_S)
    return int((publish.read_record(reply(node.layout, verb)) or {"exit_code": 1})["exit_code"])


def _facts(verb: Verb, node: steps.Node, body: Mapping[str, Any]) -> Dict[str, Any]:
    """`body` with what only this container can see: its processes, its addresses."""
    body = {**body, "is_attended": True}
    if verb is Verb.RELEASE:
        return {**body, "census": steps.take_census(node, body)}
    if body.get("meeting_port"):
        return {**body, "addresses": [list(address) for address in meeting.own_addresses()]}
    return body


def _is_alone(layout: NodeLayout) -> bool:
    """Whether there is no attendant any more. One that is only about to start will hold its lock."""
    if layout.attendant_end.exists():
        return True
    return layout.container_end.exists() and not lock.is_held(layout.attendant_lock)
