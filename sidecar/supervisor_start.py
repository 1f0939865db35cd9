"""Starts a node's supervisor or steward in a session of its own; it outlives the caller and what that hangs on."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from sidecar import child
from sidecar.contract import settings
from sidecar.contract.layout import NodeLayout
from sidecar.contract.orders import NodePlan

if TYPE_CHECKING:
    import subprocess

SUPERVISOR, STEWARD = "supervisor", "steward"


def start_supervisor(plan: NodePlan, layout: NodeLayout) -> subprocess.Popen[bytes]:
    """Starts a supervisor as a program of its own; the caller may have threads."""
    return start_part(SUPERVISOR, plan, layout)


def start_part(part: str, plan: NodePlan, layout: NodeLayout) -> subprocess.Popen[bytes]:
    """Starts one of them as a program of its own; the caller may have threads."""
    import subprocess

    environ = dict(os.environ)
    environ[settings.NODE_ROOT] = str(layout.root)
    path = layout.supervisor_log if part == SUPERVISOR else layout.steward_log
    with open(path, "ab") as log, open(os.devnull, "rb") as null:
        return subprocess.Popen(
            [sys.executable, "-s", "-S", "-E", "-m", "sidecar", part, plan.run_id, "--node", plan.node_id],
            cwd=plan.bundle,
            env=environ,
            stdin=null,
            stdout=log,
            stderr=log,
            start_new_session=True,
            close_fds=True,
        )


def fork_supervisor(plan: NodePlan, layout: NodeLayout) -> int:
    """The same by a fork of this process, which must have no second thread."""

    def become() -> int:
        os.chdir(plan.bundle)
        os.environ[settings.NODE_ROOT] = str(layout.root)
        null = os.open(os.devnull, os.O_RDONLY)
        log = os.open(layout.supervisor_log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        for descriptor, number in ((null, 0), (log, 1), (log, 2)):
            os.dup2(descriptor, number)
        os.closerange(3, max(null, log) + 1)
        from sidecar import supervisor

        return supervisor.main(str(layout.root))

    return child.fork(become, f"supervisor {plan.run_id} --node {plan.node_id}", has_own_session=True)
