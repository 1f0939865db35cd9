"""Does in the sidecar container what surrounds the job: each step that a supervisor handed over, once.

supervisor's step process --handed/20-prepare.json--> attendant --runs the step--> handed/20-prepare.done.json
"""

from __future__ import annotations

import contextlib
import functools
import os
import select
import socket
import sys
import time
from typing import Iterator

from sidecar import child, delegation, steps
from sidecar.contract import bell, events, lock, publish
from sidecar.contract.layout import NodeLayout, RunLayout
from sidecar.contract.orders import ORDER_NAMES, NodePlan, Verb, node_plan

# A ring that was lost waits as long; it also bounds how long the container outlives its node.
_LOOK_S = 0.25
_FIRST_LOOK_S = 0.01


def main(node_root: str) -> int:
    """Serves until the node is let go, or its folder is gone; returns 0."""
    layout = NodeLayout.at(node_root)
    held = lock.take(layout.attendant_lock)
    if held is None or layout.attendant_end.exists():
        return 0
    descriptor = bell.hang(layout.attendant_bell)
    while not layout.plan.exists():
        if not layout.root.exists() or layout.attendant_end.exists():
            return 0
        time.sleep(_FIRST_LOOK_S)
    plan = node_plan(publish.read_record(layout.plan) or {})
    _tell_start(plan)
    while layout.plan.exists() and not layout.order(ORDER_NAMES[Verb.QUIT]).exists():
        for verb in _waiting(layout):
            _do(verb, steps.Node(plan, layout, RunLayout.at(plan.run_root)))
        select.select([descriptor], [], [], _LOOK_S)
        bell.silence(descriptor)
    return 0


def _tell_start(plan: NodePlan) -> None:
    path = RunLayout.at(plan.run_root).start_cms(plan.node_id)
    now, python = events.utc_text(time.time_ns()), sys.version.split()[0]
    sentence = f"{now} sidecar container {socket.gethostname()}, attendant pid {os.getpid()}, Python {python}"
    with contextlib.suppress(OSError):  # A full disk: what matters are the steps.
        path.parent.mkdir(parents=True, exist_ok=True)
        publish.append_line(path, sentence.encode())


def _waiting(layout: NodeLayout) -> Iterator[Verb]:
    for verb in delegation.HANDED:
        if delegation.request(layout, verb).exists() and not delegation.reply(layout, verb).exists():
            yield verb


def _do(verb: Verb, node: steps.Node) -> None:
    body = publish.read_record(delegation.request(node.layout, verb)) or {}
    pid = child.fork(functools.partial(steps.run, verb, node, body), f"step {verb.value} {node.plan.run_id}")
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    publish.create_once(delegation.reply(node.layout, verb), publish.to_json({"exit_code": code}))
