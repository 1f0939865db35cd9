from pathlib import Path

import pytest

from runner.errors import NoSuchRunError
from runner.history.run_record import iso_utc
from runner.store.run_lookup import resolve
from sidecar.contract.layout import WorkspaceLayout
from tests.doubles.run_folders import EPOCH_S, RunFolder, at, new_run


@pytest.fixture
def workspace(tmp_path: Path) -> WorkspaceLayout:
    workspace = WorkspaceLayout(tmp_path)
    for number in range(7):
        new_run(workspace, number=number).record()
    return workspace


def test_whole_id_prefix_and_last(workspace: WorkspaceLayout) -> None:
    """A whole id, a unique prefix, and `last` all mean one run."""
    newest = f"digits_{EPOCH_S + 6}_00000006"
    assert resolve(workspace, newest) == newest
    assert resolve(workspace, f"digits_{EPOCH_S + 6}") == newest
    assert resolve(workspace, "last") == newest


def test_last_of_one_second_is_the_one_created_last(workspace: WorkspaceLayout) -> None:
    """Runs of one second are told apart by their records."""
    for suffix, second in (("0000000a", 0.2), ("0000000b", 0.7), ("0000000c", 0.1)):
        run = RunFolder(workspace.run(f"digits_{EPOCH_S + 99}_{suffix}"))
        run.record(created_utc=iso_utc(at(99 + second)))
    assert resolve(workspace, "last").endswith("_0000000b")


def test_several_matches_are_listed(workspace: WorkspaceLayout) -> None:
    """An ambiguous prefix names the newest that match, and how many more there are."""
    with pytest.raises(NoSuchRunError, match="7 runs begin with 'dig'") as raised:
        resolve(workspace, "dig")
    assert f"digits_{EPOCH_S + 6}_00000006" in str(raised.value) and "and 2 more" in str(raised.value)


def test_near_ids_are_named(workspace: WorkspaceLayout) -> None:
    """An unknown id is answered with those that look like it."""
    with pytest.raises(NoSuchRunError, match="near it") as raised:
        resolve(workspace, f"digit_{EPOCH_S + 3}_00000003")
    assert f"digits_{EPOCH_S + 3}_00000003" in str(raised.value)


@pytest.mark.parametrize("text", ["", "..", "../runs", "/etc", "nope", "last"])
def test_nothing_found_in_an_empty_workspace(tmp_path: Path, text: str) -> None:
    """Where there is no run, no text means one, least of all a path."""
    with pytest.raises(NoSuchRunError):
        resolve(WorkspaceLayout(tmp_path), text)


def test_strange_folders_are_no_runs(workspace: WorkspaceLayout) -> None:
    """Folders whose names are no run ids are never found."""
    (workspace.runs / "zzz").mkdir()
    with pytest.raises(NoSuchRunError):
        resolve(workspace, "zzz")
