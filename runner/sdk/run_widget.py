"""RunDetails: a run as it goes on, live in a notebook and as text elsewhere (azureml.widgets)."""

from __future__ import annotations

import html
import os
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from runner.errors import RunnerError
from runner.history.status import TERMINAL
from sidecar.contract.layout import USER_OUTPUT_PREFIXES

if TYPE_CHECKING:
    from runner.sdk.run import Run

# Shorter: the browser is kept busy; longer: the widget lags behind.
_REFRESH_S = 1.0
_LOG_LINES = 30
_METRIC_COUNT = 20
_TELLING = USER_OUTPUT_PREFIXES[1:]
_FINAL = frozenset(status.value for status in TERMINAL)


class RunDetails:
    """Shows a run. `show()` returns at once and what it shows goes on by itself; outside a notebook it prints once."""

    def __init__(self, run_instance: Run) -> None:
        self._run = run_instance

    def show(self, render_lib: Any = None, widget_settings: Any = None) -> None:
        """Shows the run in the notebook, where it changes until it has ended; elsewhere prints it as it is now.

        What is shown is plain HTML, so a saved notebook has it too, and nothing needs to be installed beside Jupyter.
        """
        if not _is_notebook():
            sys.stdout.write(self.get_widget_text())
            sys.stdout.flush()
            return
        shown = import_module("IPython.display")
        page = self.get_widget_html()
        handle = shown.display(shown.HTML(page), display_id=True)
        follower = _Follower(self, lambda changed: handle.update(shown.HTML(changed)), page)
        follower.start(_shell())

    def get_widget_data(self, widget_settings: Any = None) -> dict[str, Any]:
        """What the widget shows: the run's properties, its children, its metrics and the end of its log."""
        details = self._run.get_details()
        ranked = getattr(self._run, "get_children_sorted_by_primary_metric", None)
        children = [*map(_row, self._run.get_children())] if ranked is None else ranked()
        return {
            "status": details["status"],
            "run_id": self._run.id,
            "run_name": self._run.display_name,
            "experiment_name": self._run.experiment.name,
            "run_properties": {
                "run_id": self._run.id,
                "status": details["status"],
                "start_time": details["startTimeUtc"],
                "end_time": details["endTimeUtc"],
                "target": details["target"],
                "tags": self._run.get_tags(),
            },
            "child_runs": children,
            "run_metrics": {} if ranked else dict([*self._run.get_metrics().items()][:_METRIC_COUNT]),
            "log_files": details["logFiles"],
            "error": details.get("error"),
            "log": self._log_end(details["logFiles"]),
        }

    def get_widget_text(self) -> str:
        """The run as it is now, as lines for a terminal."""
        data = self.get_widget_data()
        facts = data["run_properties"]
        lines = [f"RunId: {data['run_id']}", f"Experiment: {data['experiment_name']}", f"Status: {data['status']}"]
        lines += [
            f"{name}: {facts[key]}" for name, key in (("Started", "start_time"), ("Ended", "end_time")) if facts[key]
        ]
        lines += [f"Metric {name}: {_shown(value)}" for name, value in data["run_metrics"].items()]
        lines += [f"Child {child['run_id']}: {_of_child(child)}" for child in data["child_runs"]]
        if data["log"][0]:
            lines += ["", f"{data['log'][0]}:", data["log"][1]]
        return "\n".join(lines) + "\n"

    def get_widget_html(self) -> str:
        """The run as it is now, as HTML; whatever the run says of itself is escaped."""
        data = self.get_widget_data()
        facts = [(key.replace("_", " "), value) for key, value in data["run_properties"].items() if value]
        metrics = [(name, _shown(value)) for name, value in data["run_metrics"].items()]
        children = [(child["run_id"], _of_child(child)) for child in data["child_runs"]]
        parts = [f"<h4>{html.escape(data['run_name'])}</h4>", _table(facts)]
        parts += [
            f"<h5>{name}</h5>{_table(rows)}" for name, rows in (("Metrics", metrics), ("Children", children)) if rows
        ]
        name, text = data["log"]
        if name:
            parts.append(
                f"<h5>{html.escape(name)}</h5><pre style='max-height:20em;overflow:auto'>{html.escape(text)}</pre>"
            )
        return "".join(parts)

    @property
    def is_final(self) -> bool:
        """Whether the run has ended, so that nothing changes any more."""
        return self._run.get_status() in _FINAL

    def _log_end(self, files: dict[str, str]) -> tuple[str, str]:
        """(name, last lines) of the log that tells most: the user's, or the sweep's, else the last numbered one."""
        from runner.history.file_names import place_of

        numbered = [name for name in files if name.count("/") == 1 and name.endswith(".txt")]
        chosen = [name for name in numbered if os.path.basename(name).startswith(_TELLING)] or numbered[-1:]
        if not chosen:
            return "", ""
        try:
            with open(place_of(self._run.layout, chosen[0]), "rb") as stream:
                stream.seek(0, 2)
                stream.seek(max(0, stream.tell() - 64 * 1024))
                text = stream.read().decode("utf-8", errors="replace")
        except OSError:
            return "", ""
        return chosen[0], "\n".join(text.splitlines()[-_LOG_LINES:])


class _Follower:
    """Changes what is shown until the run has ended: from a thread, and at the end of every cell.

    Jupyter takes what a thread says of a cell that is over; what only runs a notebook (nbclient, papermill) takes what
    is said while a cell runs, so the saved notebook has the last state only because of the latter.
    """

    def __init__(self, details: RunDetails, update: Callable[[str], None], page: str) -> None:
        self._details = details
        self._update = update
        self._page = self._kept = page
        self._shell: Any = None

    def start(self, shell: Any) -> None:
        """Returns at once."""
        self._shell = shell
        shell.events.register("post_run_cell", self._end_cell)
        threading.Thread(target=self._follow, name="run-details", daemon=True).start()

    def _read(self) -> tuple[bool, str]:
        """(whether it is final, the page); a run that was removed stays as it was shown."""
        try:
            return self._details.is_final, self._details.get_widget_html()
        except (RunnerError, OSError):  # The door of a thread, and of the shell's event.
            return True, self._page

    def _follow(self) -> None:
        pause = threading.Event()
        is_final = False
        while not is_final:
            is_final, page = self._read()
            if page != self._page:
                self._page = page
                self._update(page)
            pause.wait(0 if is_final else _REFRESH_S)

    def _end_cell(self, _result: Any = None) -> None:
        is_final, page = self._read()
        if page != self._kept:
            self._kept = page
            self._update(page)
        if is_final:
            self._shell.events.unregister("post_run_cell", self._end_cell)


def _row(run: Run) -> dict[str, Any]:
    return {"run_id": run.id, "status": run.get_status(), "run_name": run.display_name}


def _of_child(child: dict[str, Any]) -> str:
    """The status of a child; of a sweep's also what it was given, and how good that was."""
    if "hyperparameters" not in child:
        return str(child["status"])
    return f"{child['status']}, {child['best_primary_metric']}, {child['hyperparameters']}"


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"{value[-1]} (last of {len(value)})" if value else "-"
    return str(value)


def _table(rows: list[tuple[str, Any]]) -> str:
    cells = "".join(f"<tr><td>{html.escape(str(a))}</td><td>{html.escape(str(b))}</td></tr>" for a, b in rows)
    return f"<table>{cells}</table>"


def _shell() -> Any:
    """IPython's shell, if this is one; nothing is imported for the question."""
    return getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()


def _is_notebook() -> bool:
    return hasattr(_shell(), "kernel")
