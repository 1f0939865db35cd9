"""An interpreter is checked by running it, and what is wrong with it is said in words."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from sidecar.environments import interpreter
from sidecar.environments.failure import BuildFailed


def _program(folder: Path, name: str, text: str, *, mode: int = 0o755) -> str:
    (folder / name).write_text(text)
    (folder / name).chmod(mode)
    return str(folder / name)


def test_the_runners_own_is_known_without_asking() -> None:
    """No interpreter_path means the Python that runs the runner, and costs no process."""
    python = interpreter.find(None, {})
    assert python.path == sys.executable
    assert python.version == ".".join(map(str, sys.version_info[:3]))


def test_one_found_on_the_path_is_asked(tmp_path: Path) -> None:
    """A bare name is looked up on PATH; a virtual environment is known by its own path and its base by its real one."""
    (tmp_path / "py").symlink_to(sys.executable)
    python = interpreter.find("py", {"PATH": str(tmp_path)})
    assert python.path == str(tmp_path / "py")
    assert python.version == ".".join(map(str, sys.version_info[:3]))
    assert os.path.samefile(python.base, os.path.realpath(sys.executable))


def test_missing_ones_are_told_apart(tmp_path: Path) -> None:
    """Not on the PATH, not there, not executable, a folder: each has its own sentence."""
    plain = _program(tmp_path, "plain", "", mode=0o644)
    for path, reason in (
        ("no-such-python", "is not on the PATH"),
        (str(tmp_path / "none"), "does not exist"),
        (plain, "may not be executed"),
        (str(tmp_path), "is a folder"),
    ):
        with pytest.raises(BuildFailed, match=reason):
            interpreter.find(path, {"PATH": str(tmp_path)})


@pytest.mark.parametrize("text", ["#!/bin/sh\necho hello\n", "#!/bin/sh\nexit 3\n", "no program at all"])
def test_what_is_no_python_is_refused(tmp_path: Path, text: str) -> None:
    """A program that runs but is no Python, and a file that does not run, are both named."""
    with pytest.raises(BuildFailed, match=r"odd (is not a working Python|cannot be started)"):
        interpreter.find(_program(tmp_path, "odd", text), dict(os.environ))


def test_an_old_one_is_refused(tmp_path: Path) -> None:
    """Its version is in the message. The stand-in only prints what a Python 3.7 would answer."""
    text = "#!/bin/sh\nprintf 'scriptrun-python\\n3.7.16\\ncpython\\n/usr/bin/python3.7'\n"
    with pytest.raises(BuildFailed, match=r"Python 3\.7\.16, and jobs need 3\.8"):
        interpreter.find(_program(tmp_path, "old", text), dict(os.environ))


def test_one_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check ends by itself."""
    monkeypatch.setattr(interpreter, "_TIMEOUT_S", 0.2)
    with pytest.raises(BuildFailed, match="did not answer"):
        interpreter.find(_program(tmp_path, "slow", "#!/bin/sh\nexec sleep 60\n"), dict(os.environ))
