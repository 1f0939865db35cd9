"""A real `mlflow server` that a test starts, kills and stops."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path

from tests.doubles.mlflow_lab import clean_environment
from tests.doubles.node_lab import wait_until


class TrackingServer:
    """`mlflow server` on a port that stays its own while it is down."""

    def __init__(self, python: Path, folder: Path, *arguments: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        self._folder = folder
        self._argv = [python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        self._argv += arguments
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        with open(self._folder / "server.log", "ab") as log:
            environ = {**clean_environment(), "MLFLOW_DISABLE_TELEMETRY": "true"}
            self._process = subprocess.Popen(
                self._argv, cwd=self._folder, stdout=log, stderr=log, env=environ, start_new_session=True
            )
        wait_until(self._is_up, what="mlflow server", limit_s=240)

    def signal(self, number: int) -> None:
        """Sends a signal to all its processes."""
        if self._process is not None:
            os.killpg(self._process.pid, number)

    def stop(self) -> None:
        """Kills it."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
        self._process = None

    def _is_up(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/health", timeout=5):
                return True
        except OSError:
            return False
