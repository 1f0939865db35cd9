"""Children of a supervisor or agent that go on running its code: first they let go of what belongs to it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Any, Callable, Mapping, NoReturn

from sidecar import kernel
from sidecar.contract.layout import NodeLayout, RunLayout
from sidecar.contract.orders import NodePlan, Verb


def fork(act: Callable[[], int], title: str, *, has_own_session: bool = False) -> int:
    """Runs `act` in a child of this process, which `ps` shows as `title`; its result is the child's exit code.

    Returns the child's pid. The caller must have no second thread.
    """
    pid = os.fork()
    if pid:
        return pid
    _run_child(act, f"{Path(sys.executable).name} -m sidecar {title}", has_own_session=has_own_session)


def has_ended(pid: int) -> bool:
    """Whether the child `pid` has ended; it is reaped then."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def _run_child(act: Callable[[], int], title: str, *, has_own_session: bool) -> NoReturn:
    """The whole life of a forked child. Descriptors of the supervisor, its lock among them, are let go first."""
    code = 1
    try:
        if has_own_session:
            os.setsid()
        else:
            os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        os.closerange(3, os.sysconf("SC_OPEN_MAX") if os.sysconf("SC_OPEN_MAX") < 65536 else 65536)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        kernel.rename_process(title)
        code = act()
    except SystemExit:
        pass  # Stopped: the code says so.
    except BaseException as error:  # The door of this process: the traceback goes to the supervisor's log.
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        with contextlib.suppress(Exception):
            sys.stderr.flush()
        os._exit(code)


def run_step(verb: Verb, plan: NodePlan, layout: NodeLayout, body: Mapping[str, Any]) -> int:
    """A step, in its own process; ends with the supervisor, since the next one begins it again."""
    kernel.die_with_parent(signal.SIGKILL)
    # A stop: what is half done is taken back on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    # Heavy modules stay out of the supervisor itself: it lives as long as the run.
    from sidecar import steps

    if plan.is_contained:
        from sidecar import delegation

        code = delegation.run(verb, steps.Node(plan, layout, RunLayout.at(plan.run_root)), body)
        if code is not None:
            return code
    return steps.run(verb, steps.Node(plan, layout, RunLayout.at(plan.run_root)), body)
