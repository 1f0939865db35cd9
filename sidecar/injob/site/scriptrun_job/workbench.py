"""Small pieces of older and smaller packages: Workbench's logger, telemetry, the widget (azureml-v1.md 5.2)."""

from __future__ import annotations

from scriptrun_job.run import Run

TYPE_CHECKING = False  # `typing` would cost every process more than the rest of this package.
if TYPE_CHECKING:
    from typing import Any


class WorkbenchLogger:
    """Azure ML Workbench's logger: what it logs goes to the run, as what it is."""

    def log(self, name: str, value: Any) -> Logged:
        """Logs a number or text, a list, a dict of columns, or a pandas DataFrame."""
        run = Run.get_context()
        if hasattr(value, "to_dict") and hasattr(value, "columns"):
            run.log_table(name, value.to_dict("list"))
        elif isinstance(value, dict):
            if any(isinstance(cells, (list, tuple)) for cells in value.values()):
                run.log_table(name, value)
            else:
                run.log_row(name, **{str(column): cell for column, cell in value.items()})
        elif isinstance(value, (list, tuple)):
            run.log_list(name, value)
        else:
            run.log(name, value)
        return Logged()

    def upload(self, path: str, contents: Any) -> Logged:
        """Keeps a text, or bytes, as the file `path` of the run."""
        import io

        stream: Any = io.BytesIO(contents) if isinstance(contents, bytes) else io.StringIO(str(contents))
        Run.get_context().upload_file(path, stream)
        return Logged()


class Logged:
    """What a call of the logger gives back: there is nothing left to wait for."""

    def wait(self, timeout: Any = None) -> None:
        """Returns at once."""


class RunDetails:
    """The widget of notebooks; in a job it prints."""

    def __init__(self, run_instance: Any) -> None:
        self._run = run_instance

    def show(self, render_lib: Any = None, widget_settings: Any = None) -> None:
        """Prints what the run is."""
        print(repr(self._run))

    def get_widget_data(self, widget_settings: Any = None) -> Any:
        """What `get_details` gives."""
        return self._run.get_details()


def get_azureml_logger() -> WorkbenchLogger:
    """The logger of the run that this process belongs to."""
    return WorkbenchLogger()


def set_diagnostics_collection(send_diagnostics: Any = True, verbosity: Any = None, **_others: Any) -> None:
    """Does nothing: nothing is collected."""
