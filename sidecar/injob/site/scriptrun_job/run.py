"""`azureml.core.Run` inside a job: so far the run's id, its experiment's name, and `log`."""

from __future__ import annotations

import os
import types

from scriptrun_job import names, system_log
from scriptrun_job.errors import RunEnvironmentException, UserErrorException, not_provided
from scriptrun_job.journal import Journal

TYPE_CHECKING = False  # `typing` would cost every process more than the rest of this package.
if TYPE_CHECKING:
    from typing import Any, Dict, NoReturn, Optional

_NO_SCALARS = (list, tuple, range, types.GeneratorType)


class Experiment:
    """The experiment that the run belongs to."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"Experiment(Name: {self.name})"


class Run:
    """A run as its own script sees it. Get it by `Run.get_context()`."""

    _by_id: Dict[str, Run] = {}  # noqa: RUF012 - ClassVar would need `typing`

    def __init__(self, run_id: str) -> None:
        self.id = run_id

    @staticmethod
    def get_context(allow_offline: bool = True, used_for_context_manager: bool = False) -> Run:
        """The run that this process belongs to, the same object at every call.

        Outside a job it is an offline run, which prints what it would log; with `allow_offline=False` that raises
        RunEnvironmentException.
        """
        run_id, path = os.environ.get(names.AZUREML_RUN_ID), os.environ.get(names.METRICS_FILE)
        if not run_id or not path:
            if not allow_offline:
                raise RunEnvironmentException(
                    "Could not load a submitted run, if outside of an execution context, use experiment.start_logging "
                    "to initialize an azureml.core.Run."
                )
            run_id = ""
        run = Run._by_id.get(run_id)
        if run is None:  # Of two threads that come here at once, the second takes the first one's run.
            run = Run._by_id.setdefault(run_id, SubmittedRun(run_id, str(path)) if run_id else OfflineRun())
        return run

    def log(self, name: str, value: Any, description: str = "", step: Optional[int] = None) -> None:
        """Logs one number, text, bool or None under `name`; the same name again makes a list."""
        raise NotImplementedError

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(not_provided(f"Run.{name}"))

    def __repr__(self) -> str:
        return f"Run(Id: {self.id})"


class SubmittedRun(Run):
    """The run of a job: what it logs is one line on disk when the call returns."""

    def __init__(self, run_id: str, metrics_file: str) -> None:
        super().__init__(run_id)
        self.experiment = Experiment(os.environ.get(names.AZUREML_EXPERIMENT_NAME, ""))
        self._write = Journal(metrics_file).scalar
        system_log.write("azureml.run", "DEBUG", f"metrics of {run_id} go to {metrics_file}")

    def log(self, name: str, value: Any, description: str = "", step: Optional[int] = None) -> None:
        """Logs one number, text, bool or None under `name`; the same name again makes a list.

        On return the record is in the file: killing the process loses nothing. Raises UserErrorException for lists
        and their like, and for integers of more than 64 bits.
        """
        if isinstance(value, _NO_SCALARS):
            raise UserErrorException(f"run.log does not support {type(value).__name__} type. Use run.log_list instead")
        self._write(name, value, step)


class OfflineRun(Run):
    """No run: the script was started by hand, so what it logs is printed (azureml-v1.md 2.6)."""

    def __init__(self) -> None:
        super().__init__(f"OfflineRun_{_random_uuid()}")

    def log(self, name: str, value: Any, description: str = "", step: Optional[int] = None) -> None:
        """Prints what would be logged."""
        print(f"Attempted to log scalar metric {name}:\n{value}")


def _random_uuid() -> str:
    text = os.urandom(16).hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
