"""What every benchmark stands on: a scratch folder with a workspace, clean environment variables, the peers."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sidecar.contract import settings
from sidecar.contract.layout import WorkspaceLayout
from tests.benchmarks import peers
from tests.benchmarks.report import ROOT, Section
from tests.benchmarks.timing import Command

# They slow Python's start or its output down, here and in every process of a run.
_SLOWING = ("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH")


@dataclass(slots=True, kw_only=True)
class Stage:
    """Where benchmarks run; `runs` is what the person asked for, None where each benchmark decides.

    `is_small` is for somebody who changes a benchmark and only wants to see that it works.
    """

    scratch: Path
    runs: int | None = None
    is_small: bool = False
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def workspace(self) -> WorkspaceLayout:
        """The workspace of every run; it goes away with the scratch folder."""
        return WorkspaceLayout(self.scratch / "workspace")

    @property
    def python(self) -> str:
        """The real interpreter: on PATH there may be a shim that takes longer than the script."""
        return sys.executable

    def count(self, usual: int) -> int:
        """How often to measure."""
        return self.runs or usual

    def size(self, usual: int, *, small: int) -> int:
        """How much to measure with, where a benchmark knows a size that is enough to try it out."""
        return small if self.is_small else usual

    def peer(self, name: str, section: Section) -> peers.Peer:
        """A peer's environment, its versions noted; where it is missing the section says so."""
        found = peers.prepare(name)
        if found.problem:
            section.notes.append(f"SKIPPED: {name}: {found.problem}")
        else:
            self.versions |= peers.versions(name)
        return found

    def environ(self, *, python: str | None = None, **extra: str) -> dict[str, str]:
        """Clean environment variables; the folder of `python` comes first on PATH."""
        kept = {name: value for name, value in os.environ.items() if name not in _SLOWING}
        kept = {name: value for name, value in kept.items() if not name.startswith(("RUNNER_", "AZUREML_", "MLFLOW_"))}
        first = str(Path(python or self.python).parent)
        path = os.pathsep.join([first, os.environ.get("PATH", os.defpath)])
        return {**kept, "PATH": path, settings.WORKSPACE: str(self.workspace.root), **extra}

    def write(self, folder: str, name: str, content: str) -> Path:
        """A file in a source folder of its own below the scratch folder."""
        path = self.scratch / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    def config(self, folder: str, script: str, *, python: str | None = None, **keys: Any) -> Path:
        """A config file beside `script`; its interpreter is a real one too."""
        self.write(f"{folder}-source", script, (self.scratch / folder / script).read_text())
        content: Mapping[str, Any] = {
            "experiment_name": folder,
            "source_directory": str(self.scratch / f"{folder}-source"),
            "script": script,
            "environment": {"python": {"interpreter_path": python or self.python}},
            **keys,
        }
        return self.write(folder, f"{folder}.yml", json.dumps(content, indent=1))

    def command(self, label: str, *argv: str, **options: Any) -> Command:
        """A command with clean environment variables, its output in the scratch folder."""
        name = "".join(letter if letter.isalnum() else "-" for letter in label)[:80]
        options.setdefault("environ", self.environ())
        options.setdefault("cwd", self.scratch)
        return Command(label=label, argv=argv, stdout=self.scratch / f"{name}.out", **options)

    def runner(self, label: str, *arguments: str, **options: Any) -> Command:
        """The product's command, from this checkout."""
        return self.command(label, self.python, "-m", "runner", *arguments, cwd=ROOT, **options)
