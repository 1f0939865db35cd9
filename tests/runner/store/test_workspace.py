from pathlib import Path

import pytest

from runner.errors import WorkspaceError
from runner.store.workspace import create, find_workspace
from sidecar.contract.layout import WorkspaceLayout


def test_environment_variable_names_the_workspace_itself(tmp_path: Path) -> None:
    """RUNNER_WORKSPACE is the workspace, not the folder that holds one; a relative one starts here."""
    assert find_workspace({"RUNNER_WORKSPACE": "/w"}, tmp_path).root == Path("/w")
    assert find_workspace({"RUNNER_WORKSPACE": "w"}, tmp_path).root == tmp_path / "w"


def test_nearest_folder_above_wins(tmp_path: Path) -> None:
    """The nearest ancestor that holds .runner gives the workspace."""
    inner = tmp_path / "a" / "b"
    (inner / "c").mkdir(parents=True)
    (tmp_path / ".runner").mkdir()
    (inner / ".runner").mkdir()
    assert find_workspace({"RUNNER_WORKSPACE": ""}, inner / "c").root == inner / ".runner"


def test_home_is_the_last_resort(tmp_path: Path) -> None:
    """Without any other, the workspace is .runner in the home folder."""
    assert find_workspace({"HOME": str(tmp_path / "home")}, Path("/")).root == tmp_path / "home" / ".runner"


def test_file_in_the_place_is_an_error(tmp_path: Path) -> None:
    """A workspace that is a file is refused with what to set."""
    (tmp_path / "w").touch()
    with pytest.raises(WorkspaceError, match="RUNNER_WORKSPACE"):
        find_workspace({"RUNNER_WORKSPACE": "w"}, tmp_path)


def test_create_twice(tmp_path: Path) -> None:
    """Making a workspace twice is no error; it keeps itself out of version control."""
    workspace = WorkspaceLayout(tmp_path / "w")
    assert [create(workspace), create(workspace)] == [True, False]
    assert workspace.runs.is_dir() and (workspace.root / ".gitignore").read_text() == "*\n"


def test_place_that_cannot_be_written(tmp_path: Path) -> None:
    """A workspace that cannot be made is an error that names it."""
    (tmp_path / "file").touch()
    with pytest.raises(WorkspaceError, match="cannot write the workspace"):
        create(WorkspaceLayout(tmp_path / "file" / "w"))
