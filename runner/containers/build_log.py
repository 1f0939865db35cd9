"""The log of an image build, `20_` of a run: opened by its first line, so that a cache hit leaves none."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from sidecar.contract import publish
from sidecar.contract.layout import RunLayout
from sidecar.contract.time_index import TimeIndexer

_TAIL_BYTES = 16 * 1024


class BuildLog:
    """Appends to the log at `path`, and keeps its time index where it is a run's."""

    def __init__(self, path: Path, indexer: TimeIndexer | None = None) -> None:
        self.path = path
        self._indexer = indexer
        self._is_open = False

    @classmethod
    def of_run(cls, run: RunLayout) -> BuildLog:
        """The run's `20_`."""
        return cls(run.image_build_log, TimeIndexer(run))

    def open(self) -> Path:
        """The log's file, which exists then."""
        if not self._is_open:
            self._is_open = True
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.touch(mode=0o600)
            if self._indexer is not None:
                self._indexer.add(self.path)
        return self.path

    def say(self, sentence: str) -> None:
        """One line of our own."""
        publish.append_line(self.open(), sentence.encode("utf-8", "surrogateescape"))
        self.look()

    def command(self, argv: Sequence[str]) -> None:
        """The command that is about to be run."""
        self.say(f"$ {shlex.join(argv)}")

    def add(self, text: str) -> None:
        """What a builder printed, as it is."""
        descriptor = os.open(self.open(), os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            publish.write_all(descriptor, text.encode("utf-8", "surrogateescape"))
        finally:
            os.close(descriptor)
        self.look()

    def look(self) -> None:
        """Notes that others may have written."""
        if self._indexer is not None:
            self._indexer.look()

    def last_line(self) -> str:
        """The last line that is a person's to read; for a message."""
        try:
            with open(self.path, "rb") as stream:
                stream.seek(max(0, os.fstat(stream.fileno()).st_size - _TAIL_BYTES))
                lines = stream.read().decode("utf-8", "replace").splitlines()
        except OSError:
            return ""
        errors = [line.strip() for line in lines if line.lower().lstrip().startswith(("error", "fatal", "critical"))]
        return (errors or [line.strip() for line in lines if line.strip()] or [""])[-1][:400]
