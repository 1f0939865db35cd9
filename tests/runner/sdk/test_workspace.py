"""Which folder a Workspace is, and what it is called."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from runner.errors import NoSuchRunError
from runner.sdk import Workspace
from runner.sdk.exceptions import UserErrorException

NAMES = {"subscription_id": "s-1", "resource_group": "group", "workspace_name": "team"}


def test_from_config_is_where_commands_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable first, else the nearest `.runner/` above."""
    (tmp_path / ".runner").mkdir()
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    monkeypatch.delenv("RUNNER_WORKSPACE", raising=False)
    assert Workspace.from_config().layout.root == tmp_path / ".runner"
    assert Workspace().name == tmp_path.name
    monkeypatch.setenv("RUNNER_WORKSPACE", str(tmp_path / "other"))
    assert Workspace.from_config().layout.root == tmp_path / "other"


def test_names_of_a_config_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Azure ML's config.json gives the names, from `.azureml/` above the current folder or by its own path."""
    (tmp_path / ".azureml").mkdir()
    config = tmp_path / ".azureml" / "config.json"
    config.write_text(json.dumps(NAMES))
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    for workspace in (Workspace.from_config(), Workspace.from_config(path=str(config))):
        assert (workspace.name, workspace.subscription_id, workspace.resource_group) == ("team", "s-1", "group")


def test_without_a_config_file_names_are_harmless(tmp_path: Path) -> None:
    """Every name is a text; another tool's config.json is none of ours."""
    (tmp_path / "config.json").write_text("[1]")
    workspace = Workspace(tmp_path)
    names = (workspace.name, workspace.subscription_id, workspace.resource_group, workspace.location)
    assert names == (tmp_path.name, "local", "local", "local")


def test_from_config_refuses_what_is_not_there(tmp_path: Path) -> None:
    """A path that somebody named must exist and be such a file."""
    with pytest.raises(UserErrorException, match="could not be found"):
        Workspace.from_config(tmp_path / "nothing.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(UserErrorException, match="is not the configuration file"):
        Workspace.from_config(tmp_path / "bad.json")


def test_path_outranks_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who names a folder gets it, or the `.runner/` in it."""
    monkeypatch.setenv("RUNNER_WORKSPACE", "/somewhere/else")
    assert Workspace(tmp_path).layout.root == tmp_path
    (tmp_path / ".runner").mkdir()
    assert Workspace(tmp_path).layout.root == tmp_path / ".runner"


def test_empty_workspace(workspace: Workspace) -> None:
    """No runs, no experiments, nothing created by looking."""
    assert dict(workspace.experiments) == {}
    with pytest.raises(NoSuchRunError):
        workspace.get_run("digits_1700000000_00000000")
    assert not workspace.layout.root.exists()


def test_import_stays_light() -> None:
    """The names load without a YAML parser, a database, or anything that submits."""
    heavy = "yaml sqlite3 pathspec psutil asyncio runner.submission runner.spec.request click"
    names = "Workspace, Experiment, ScriptRunConfig, Environment, Run, RunConfiguration, MpiConfiguration"
    code = f"import sys; from runner import {names}; print([m for m in {heavy.split()} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert found.stdout.strip() == "[]"
