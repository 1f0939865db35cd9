"""A project folder with a script, and a function that writes a config into it and reads it back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runner.errors import ConfigError
from runner.spec.config_file import read_request
from runner.spec.request import RunRequest


class Project:
    """A folder with `train.py` and `requirements.txt`; configs are written beside them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "train.py").write_text("print('hello')\n")
        (folder / "requirements.txt").write_text("numpy\n")

    def write(self, text: str | bytes, name: str = "digits.yml") -> Path:
        """Writes a config and returns its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def read(
        self, text: str | bytes, *overrides: str, name: str = "digits.yml", extra: tuple[str, ...] = ()
    ) -> RunRequest:
        """Writes a config and reads it; targets are looked up in `compute/`."""
        compute = self.folder / "compute"
        return read_request(
            self.write(text, name), overrides=overrides, extra_arguments=extra, compute_directory=compute
        )

    def refusal(self, text: str | bytes, *overrides: str, name: str = "digits.yml") -> str:
        """The message about a config that is refused, with this folder shown as `PROJECT`."""
        with pytest.raises(ConfigError) as caught:
            self.read(text, *overrides, name=name)
        return str(caught.value).replace(str(self.folder), "PROJECT")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A fresh project folder."""
    folder = tmp_path / "project"
    folder.mkdir()
    return Project(folder)


@pytest.fixture
def read_arguments(project: Project) -> Callable[[str], tuple[str, ...]]:
    """Reads the arguments of a config whose `arguments` are the given YAML."""
    return lambda yaml: project.read(f"script: train.py\narguments: {yaml}\n").arguments
