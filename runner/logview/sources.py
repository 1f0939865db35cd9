"""Which files of a run are shown, and which of them a person asked for."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterator
from dataclasses import dataclass

from runner.history.process_table import fold, natural
from runner.logview.labels import Label, label_of, processes_by_log
from sidecar.contract import publish
from sidecar.contract.layout import AZUREML_LOGS, STATE, RunLayout


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSource:
    """One file to show: its path in the run folder, where it is, its time index, and its label.

    `clock_offset_ns` is what the clock of its node is ahead of this machine's.
    """

    name: str
    path: str
    index_path: str | None
    label: Label
    clock_offset_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a person asked for; empty means all. Ranks, nodes and file names must all fit."""

    ranks: frozenset[int] = frozenset()
    node_ids: frozenset[str] = frozenset()
    file_glob: str | None = None
    prefixes: tuple[str, ...] = ()

    @property
    def is_everything(self) -> bool:
        """Whether nothing is left out."""
        return not self.ranks and not self.node_ids and self.file_glob is None and not self.prefixes

    def takes(self, source: LogSource) -> bool:
        """Whether `source` was asked for."""
        if self.ranks and source.label.rank not in self.ranks:
            return False
        if self.node_ids and source.label.node_id not in self.node_ids:
            return False
        if self.prefixes and not os.path.basename(source.name).startswith(self.prefixes):
            return False
        if self.file_glob is None:
            return True
        return any(fnmatch.fnmatchcase(name, self.file_glob) for name in (source.name, os.path.basename(source.name)))


EVERYTHING = Selection()


def find_sources(layout: RunLayout, selection: Selection = EVERYTHING) -> list[LogSource]:
    """The numbered logs of a run that `selection` takes, in a stable order; a glob reaches every file of the run.

    Reads the process table only where a process's log is there.
    """
    names = _numbered_logs(layout) if selection.file_glob is None else _every_file(layout)
    names = sorted(names, key=natural)
    by_log = processes_by_log(fold(publish.read_records(layout.process_info), ())) if names else {}
    sources = (_source(layout, name, label_of(os.path.basename(name), by_log.get(name))) for name in names)
    return [source for source in sources if selection.takes(source)]


class SourceWatch:
    """The logs of a run, looked for again only where the folder or the list of processes changed."""

    # A folder's time of change is coarse: a log made in the same tick as the last look would stay unseen.
    _LOOKS_AFTER_CHANGE = 5

    def __init__(self, layout: RunLayout, selection: Selection) -> None:
        self._layout = layout
        self._selection = selection
        self._signature: tuple[int, ...] = ()
        self._looks_left = 0
        self._found: list[LogSource] = []

    def find(self) -> list[LogSource]:
        """What `find_sources` finds; cheap enough to ask twenty times a second."""
        signature = tuple(_changed_ns(path) for path in (self._layout.azureml_logs, self._layout.process_info))
        if signature != self._signature:
            self._signature, self._looks_left = signature, self._LOOKS_AFTER_CHANGE
        if self._looks_left > 0 or self._selection.file_glob is not None:
            self._looks_left -= 1
            self._found = find_sources(self._layout, self._selection)
        return self._found


def _changed_ns(path: os.PathLike[str]) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _source(layout: RunLayout, name: str, label: Label) -> LogSource:
    folder, file_name = os.path.split(name)
    index_path = str(layout.time_index(file_name)) if folder == AZUREML_LOGS else None
    if folder != AZUREML_LOGS:
        label = Label(node_id=None, part=name)
    path = os.path.join(layout.root, name)
    # What the controller says of a node has the controller's time.
    offset_ns = 0 if path == str(layout.execution_log(label.node_id or "")) else _clock_offset_ns(layout, label.node_id)
    return LogSource(name=name, path=path, index_path=index_path, label=label, clock_offset_ns=offset_ns)


def _clock_offset_ns(layout: RunLayout, node_id: str | None) -> int:
    try:
        record = publish.read_record(layout.node_clock(node_id)) if node_id else None
        return int(record["wall_ns"]) if record else 0
    except (OSError, KeyError, TypeError, ValueError):
        return 0


def _numbered_logs(layout: RunLayout) -> list[str]:
    try:
        with os.scandir(layout.azureml_logs) as entries:
            return [
                f"{AZUREML_LOGS}/{entry.name}"
                for entry in entries
                if entry.name.endswith(".txt") and entry.is_file(follow_symlinks=False)
            ]
    except OSError:
        return []


def _every_file(layout: RunLayout) -> Iterator[str]:
    root = str(layout.root)
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if folder != root or name != STATE]
        for name in files:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not os.path.islink(path):
                yield os.path.relpath(path, root)
