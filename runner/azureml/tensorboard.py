"""azureml.tensorboard: a run's metrics as TensorBoard reads them, and TensorBoard itself over runs."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.history.child_runs import job_of
from runner.history.run_record import read_record
from runner.sdk.exceptions import UserErrorException
from runner.store.metrics_index import read_run_metrics

if TYPE_CHECKING:
    from runner.sdk.run import Run

# The port that TensorBoard has been asked for in v1; 0 lets it find one.
_PORT = 6006


class Tensorboard:
    """TensorBoard over the `logs/` of runs, or over a folder. `start()` returns where it can be looked at."""

    def __init__(self, runs: Any, local_root: str | None = None, port: int = _PORT) -> None:
        self._runs: list[Run] = list(runs) if isinstance(runs, (list, tuple)) else [runs] if runs else []
        self._root = local_root
        self._port = port
        self._process: subprocess.Popen[str] | None = None

    def start(self, start_browser: bool = False) -> str:
        """Starts it, and returns its address. Raises UserErrorException where it is not installed or does not start."""
        _library()
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tensorboard.main",
                *self._sources(),
                "--port",
                str(self._port),
                "--host",
                "127.0.0.1",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        address = self._address()
        sys.stdout.write(f"{address}\n")
        return address

    def _address(self) -> str:
        """Where it serves, once it does. Raises UserErrorException with what it said where it ended instead."""
        assert self._process is not None and self._process.stderr is not None
        lines: list[str] = []
        for line in self._process.stderr:
            lines.append(line)
            found = re.search(r" at (http://\S+)", line)
            if found is not None:
                # Whatever it says later is read, so that it never waits for a reader.
                threading.Thread(target=self._process.stderr.read, name="tensorboard", daemon=True).start()
                return found[1]
        raise UserErrorException(f"TensorBoard did not start: {''.join(lines[-5:]) or 'it ended without a word'}")

    def stop(self) -> None:
        """Ends it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def _sources(self) -> list[str]:
        if not self._runs:
            return ["--logdir", self._root or os.curdir]
        folders = ",".join(f"{run.display_name}:{run.layout.user_logs}" for run in self._runs)
        return (
            ["--logdir_spec", folders.replace(">", "_")]
            if len(self._runs) > 1
            else ["--logdir", str(self._runs[0].layout.user_logs)]
        )


def export_to_tensorboard(run_data: Any, logdir: str, logger: Any = None, recursive: bool = True) -> None:
    """Writes the numbers that runs logged below `logdir`, as TensorBoard reads them.

    `run_data` is a run, several, or an experiment; `recursive` takes in their children. Raises UserErrorException
    where tensorboard is not installed.
    """
    _library()
    for name, run in _named(run_data, recursive=recursive):
        _write(run, Path(logdir) / name)


def _named(run_data: Any, *, recursive: bool) -> Iterator[tuple[str, Run]]:
    runs: Sequence[Run]
    if hasattr(run_data, "get_runs"):
        runs = [*run_data.get_runs()]
    else:
        runs = list(run_data) if isinstance(run_data, (list, tuple)) else [run_data]
    for run in runs:
        yield run.id, run
        if recursive:
            for child in run.get_children(recursive=True):
                yield f"{run.id}/{child.id}", child


def _write(run: Run, folder: Path) -> None:
    writer: Any = importlib.import_module("tensorboard.summary.writer.event_file_writer")
    event: Any = importlib.import_module("tensorboard.compat.proto.event_pb2")
    summary: Any = importlib.import_module("tensorboard.compat.proto.summary_pb2")
    folder.mkdir(parents=True, exist_ok=True)
    events = writer.EventFileWriter(str(folder))
    for name, time_ns, step, number in _numbers(run):
        value = summary.Summary.Value(tag=name, simple_value=number)
        made = event.Event(wall_time=time_ns / 1e9, step=step, summary=summary.Summary(value=[value]))
        events.add_event(made)
    events.close()


def _numbers(run: Run) -> Iterator[tuple[str, int, int, float]]:
    """(name, time in nanoseconds, step, value) of every number logged by itself; steps that nobody gave are counted."""
    layout = run.experiment.workspace.layout
    metrics = read_run_metrics(layout, job_of(read_record(run.layout)), run.id)
    for name in metrics.names():
        points = metrics.merged(name)
        next_step = 0
        for index, value in enumerate(points.values):
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                given = points.steps[index] if points.steps is not None else None
                step = next_step if given is None else given
                next_step = step + 1
                yield name, points.times[index], step, float(value)


def _library() -> None:
    try:
        importlib.import_module("tensorboard")
    except ImportError as error:
        raise UserErrorException("tensorboard is not installed: pip install tensorboard", error) from error
