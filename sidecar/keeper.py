"""Keeps a supervisor running in a job container, whose main process it is; leaves when the node is let go.

Its lock tells everybody outside whether the container lives.
"""

from __future__ import annotations

import functools
import os
import signal
import time

from sidecar import child
from sidecar.contract import lock, publish
from sidecar.contract.layout import NodeLayout
from sidecar.contract.orders import ORDER_NAMES, Verb, node_plan

# The agent writes the plan as soon as it has been told of it.
_LOOK_S = 0.01
# A supervisor that dies this often (a full disk) is not helped by another start at once.
_RESTARTS_AT_ONCE = 20
_RESTART_PAUSE_S = 2.0


def main(node_root: str) -> int:
    """Serves until the node is let go, or its folder is gone; returns 0."""
    layout = NodeLayout.at(node_root)
    held = lock.take(layout.keeper_lock)
    if held is None or layout.container_end.exists():
        return 0  # Started again by somebody after its end was told.
    while not layout.plan.exists():
        if not layout.root.exists() or layout.container_end.exists():
            return 0
        time.sleep(_LOOK_S)
    plan = node_plan(publish.read_record(layout.plan) or {})
    start_count = 0
    while layout.plan.exists() and not layout.order(ORDER_NAMES[Verb.QUIT]).exists():
        if start_count >= _RESTARTS_AT_ONCE:
            time.sleep(_RESTART_PAUSE_S)
        start_count += 1
        title = f"supervisor {plan.run_id} --node {plan.node_id}"
        pid = child.fork(functools.partial(_supervise, layout), title, has_own_session=True)
        _pass_signals_to(pid)
        os.waitpid(pid, 0)
    return 0


def _supervise(layout: NodeLayout) -> int:
    log = os.open(layout.supervisor_log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for number in (1, 2):
        os.dup2(log, number)
    os.close(log)
    from sidecar import supervisor

    return supervisor.main(str(layout.root))


def _pass_signals_to(pid: int) -> None:
    """`docker stop` asks the main process to end; the job gets the engine's grace for it."""

    def pass_on(number: int, _frame: object) -> None:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass  # It has just ended, and is waited for.

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pass_on)
