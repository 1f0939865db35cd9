"""A Python in which `runner azureml enable` was typed, and the scripts of `cases/` run in it as their users would."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

from sidecar.contract import settings
from sidecar.contract.layout import WorkspaceLayout
from tests.lab.fixtures import lab

__all__ = ["lab"]

ROOT = Path(__file__).parents[2]
CASES = Path(__file__).parent / "cases"


@dataclass(frozen=True, kw_only=True)
class Project:
    """A copy of one case, and a workspace in it that `Workspace.from_config()` finds."""

    folder: Path
    python: Path

    @property
    def workspace(self) -> WorkspaceLayout:
        """The workspace."""
        return WorkspaceLayout(self.folder / ".runner")

    def run(self, *arguments: str, **environ: str) -> str:
        """What the Python prints, given `arguments`; it must end well."""
        inherited = {name: value for name, value in os.environ.items() if name != settings.WORKSPACE}
        done = subprocess.run(
            [self.python, "-W", "error::DeprecationWarning:__main__", *arguments],
            cwd=self.folder,
            env={**inherited, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout


@pytest.fixture(scope="session")
def enabled_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment that has what the tests have, and the names of azureml, enabled by the command."""
    folder = tmp_path_factory.mktemp("enabled")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    place = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True
    )
    Path(place.stdout.strip(), "tests.pth").write_text(f"{ROOT}\n{sysconfig.get_path('purelib')}\n")
    subprocess.run([python, "-m", "runner", "azureml", "enable"], check=True, stdout=sys.stderr, cwd=folder)
    return python


@pytest.fixture
def project(enabled_python: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Project:
    """The case that the test's mark `case` names."""
    mark = request.node.get_closest_marker("case")
    assert mark is not None
    folder = tmp_path / mark.args[0]
    shutil.copytree(CASES / mark.args[0], folder)
    (folder / ".runner").mkdir()
    return Project(folder=folder, python=enabled_python)
