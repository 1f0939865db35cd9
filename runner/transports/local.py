"""Reaches a simulated node of this machine: its agent is a child process behind a pair of pipes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from runner.errors import MachineError
from sidecar.contract import settings

_CLOSE_LIMIT_S = 2.0


class LocalLink:
    """The pipes to one agent process."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None and process.stdout is not None, "an agent is started with pipes"
        self._process = process
        self.incoming: BinaryIO = process.stdout  # type: ignore[assignment]  # typeshed says IO[bytes]; it is buffered
        self.outgoing: BinaryIO = process.stdin  # type: ignore[assignment]  # the same
        self.silence_limit_s: float | None = None
        self.notes: tuple[str, ...] = ()
        self.address: str | None = None
        self.last_words = ""  # They are in the controller's log.

    @property
    def exit_code(self) -> int | None:
        """The exit code of the agent, once the link is closed; None where a signal ended it."""
        code = self._process.returncode
        return code if code is not None and code >= 0 else None

    def close(self) -> None:
        """Closes the pipes; the agent ends at their end, or is killed."""
        with contextlib.suppress(OSError):
            self.outgoing.close()
        try:
            self._process.wait(timeout=_CLOSE_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.incoming.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTransport:
    """The way to one simulated node. `bundle` is the folder that holds the `sidecar` package."""

    run_id: str
    node_id: str
    node_root: Path
    bundle: Path
    log: Path

    @property
    def name(self) -> str:
        """For a person."""
        return "local"

    def connect(self) -> LocalLink:
        """Starts an agent. Raises MachineError where this machine cannot start one more process."""
        environ = dict(os.environ)
        environ[settings.NODE_ROOT] = str(self.node_root)
        try:
            with open(self.log, "ab") as log:
                process = subprocess.Popen(
                    [sys.executable, "-s", "-S", "-E", "-m", "sidecar", "agent", self.run_id, "--node", self.node_id],
                    cwd=self.bundle,
                    env=environ,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                )
        except OSError as error:
            raise MachineError(f"{self.node_id}: the agent could not be started: {error}") from error
        return LocalLink(process)
