"""The git properties of a run are true, quick to get, and hold no password."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from runner.store import git_state

_PATH = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}


def _git(folder: Path, *arguments: str) -> str:
    argv = ["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments]
    return subprocess.run(argv, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    _git(tmp_path, "init", "-q", "-b", "trunk")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "train.py").write_text("")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def test_a_clean_repository_is_described(repository: Path) -> None:
    """Branch, commit, dirty and the remote, under the names of Azure ML and of MLflow."""
    _git(repository, "remote", "add", "origin", "https://me:secret@example.org/x.git")
    commit = _git(repository, "rev-parse", "HEAD")
    assert git_state.read(repository / "sub", _PATH) == {
        "azureml.git.repository_uri": "https://example.org/x.git",
        "azureml.git.branch": "trunk",
        "azureml.git.commit": commit,
        "azureml.git.dirty": "False",
        "mlflow.source.git.repoURL": "https://example.org/x.git",
        "mlflow.source.git.branch": "trunk",
        "mlflow.source.git.commit": commit,
    }


def test_an_untracked_file_makes_it_dirty_and_the_workspace_does_not(repository: Path) -> None:
    """What earlier runs left in `.runner` is no change of the user's; a new script is."""
    (repository / ".runner").mkdir()
    (repository / ".runner" / "history.db").write_text("")
    assert git_state.read(repository, _PATH)["azureml.git.dirty"] == "False"
    (repository / "sub" / "new.py").write_text("")
    assert git_state.read(repository / "sub", _PATH)["azureml.git.dirty"] == "True"


def test_no_repository_gives_nothing(tmp_path: Path) -> None:
    """A folder outside any repository has no properties, and git need not be there."""
    assert git_state.read(tmp_path, {}) == {}


def test_no_git_gives_nothing(repository: Path) -> None:
    """A repository on a machine without git has none either."""
    assert git_state.read(repository, {"PATH": "/nonexistent"}) == {}


def test_variables_go_before_what_git_says(repository: Path) -> None:
    """A pipeline that knows better says so by AZUREML_GIT_*."""
    found = git_state.read(repository, {**_PATH, "AZUREML_GIT_BRANCH": "release", "AZUREML_GIT_DIRTY": "False"})
    assert found["azureml.git.branch"] == found["mlflow.source.git.branch"] == "release"


def test_a_detached_head_and_an_unborn_branch(repository: Path, tmp_path: Path) -> None:
    """A detached head is called HEAD, as v1 does; before the first commit there is no commit."""
    _git(repository, "checkout", "-q", "--detach")
    assert git_state.read(repository, _PATH)["azureml.git.branch"] == "HEAD"
    (tmp_path / "young").mkdir()
    _git(tmp_path / "young", "init", "-q")
    assert "azureml.git.commit" not in git_state.read(tmp_path / "young", _PATH)


def test_a_git_that_hangs_is_given_up(
    repository: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The properties are never worth more than their time limit."""
    programs = tmp_path_factory.mktemp("bin")
    (programs / "git").write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    (programs / "git").chmod(0o755)
    monkeypatch.setattr(git_state, "_TIMEOUT_S", 0.2)
    monkeypatch.setenv("PATH", str(programs))
    started = time.monotonic()
    assert git_state.read(repository, {"PATH": str(programs)}) == {}
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://token@example.org/x.git", "https://example.org/x.git"),
        ("https://me:p@ss@example.org:8443/x?token=1", "https://example.org:8443/x"),
        ("ssh://git:secret@example.org:22/x", "ssh://git@example.org:22/x"),
        ("git@example.org:me/x.git", "git@example.org:me/x.git"),
        ("/srv/git/x.git", "/srv/git/x.git"),
        ("file:///srv/x.git", "file:///srv/x.git"),
    ],
)
def test_credentials_are_left_out(url: str, expected: str) -> None:
    """Tokens and passwords go, whatever their form; what is needed to find the repository stays."""
    assert git_state.without_credentials(url) == expected
