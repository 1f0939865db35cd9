"""The real `runner` command, in a workspace of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from sidecar.contract import settings
from sidecar.contract.layout import RunLayout, WorkspaceLayout

_NOT_INHERITED = ("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH")


class Command:
    """Types `runner ...` in `folder`, with the workspace `folder/workspace`."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.folder = folder
        self.workspace = WorkspaceLayout(folder / "workspace")
        inherited = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
        self.environ = {**inherited, settings.WORKSPACE: str(self.workspace.root), **environ}

    def write(self, name: str, text: str) -> Path:
        """A file in the folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def popen(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Starts the command and returns at once; both outputs are pipes."""
        return subprocess.Popen(
            [sys.executable, "-m", "runner", *arguments],
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def run(self, *arguments: str, limit_s: float = 90.0) -> subprocess.CompletedProcess[str]:
        """Runs the command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "runner", *arguments],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )

    def python(self, source: str, *arguments: str, limit_s: float = 90.0) -> subprocess.CompletedProcess[str]:
        """Runs a Python program of the person's to its end, where the command would be typed."""
        return subprocess.run(
            [sys.executable, "-c", source, *arguments],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )

    def json(self, *arguments: str) -> Any:
        """What the command prints as JSON; the command must succeed."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def submit(self, *arguments: str) -> RunLayout:
        """Hands a run over; its folder."""
        found = self.json("submit", *arguments, "-o", "json")
        return RunLayout.at(found["run_directory"])

    def runs(self) -> list[str]:
        """Names of what is in `runs/`, unfinished folders included."""
        return sorted(os.listdir(self.workspace.runs)) if self.workspace.runs.is_dir() else []
