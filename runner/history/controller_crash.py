"""Remembers that controllers of a run ended by an error of their own, so that nobody starts one after the other."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from runner.errors import MachineError, RunnerError
from runner.history.run_record import read_record
from sidecar.contract import publish
from sidecar.contract.layout import RunLayout

# The first may have met a moment's trouble; the second in the same place shows that another one is of no use.
_HOPELESS_COUNT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerCrash:
    """The last error that ended a controller, and how many ended while the run had that status."""

    count: int
    status: str
    message: str

    def sentence(self, layout: RunLayout) -> str:
        """For a person."""
        times = f"{self.count} times" if self.count > 1 else "once"
        return f"the run's controller failed {times} in {self.status}: {self.message}; see {layout.controller_log}"


def note_crash(layout: RunLayout, error: Exception) -> None:
    """Counts an error that ends this controller. Best effort: controller.log has the traceback in any case."""
    with contextlib.suppress(OSError, RunnerError):
        status, before = read_record(layout).status.value, read_crash(layout)
        count = before.count + 1 if before is not None and before.status == status else 1
        record = {"count": count, "status": status, "message": f"{type(error).__name__}: {error}"}
        publish.write_whole(layout.controller_crash, publish.to_json(record))


def read_crash(layout: RunLayout) -> ControllerCrash | None:
    """The last crash; None where no controller of the run ever crashed."""
    try:
        found = publish.read_record(layout.controller_crash)
        return None if found is None else ControllerCrash(**found)
    except (OSError, ValueError, TypeError):
        return None


class CrashWatch:
    """For whoever waits for a run's end: tells when another controller has crashed in vain meanwhile."""

    def __init__(self, layout: RunLayout) -> None:
        self._layout = layout
        self._before = read_crash(layout)

    def check(self) -> None:
        """Raises MachineError where a controller crashed since, and one had crashed in the same status before."""
        crash = read_crash(self._layout)
        if crash is None or crash == self._before or crash.count < _HOPELESS_COUNT:
            return
        raise MachineError(
            crash.sentence(self._layout),
            hint=f"remove the cause, then: runner attach {self._layout.root.name}; or, to end the run as it is: "
            f"runner cancel {self._layout.root.name} --abandon",
        )
