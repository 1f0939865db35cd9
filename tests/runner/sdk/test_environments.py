"""Environments in a workspace: registered, found again, cloned, written into a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.sdk import CondaDependencies, Environment, Workspace
from runner.sdk.environment_store import to_json
from runner.sdk.exceptions import UserErrorException


def made(name: str = "digits") -> Environment:
    environment = Environment(name)
    environment.environment_variables = {"A": "1"}
    environment.python.conda_dependencies = CondaDependencies.create(pip_packages=["numpy"])
    environment.docker.base_image = "python:3.11"
    environment.docker.base_image_registry.address = "registry.invalid"
    environment.docker.base_image_registry.password = "secret"
    return environment


def test_every_definition_is_the_next_version(workspace: Workspace) -> None:
    """The same definition keeps its version, a changed one gets the next; an old one can be had by number."""
    environment = made()
    assert [environment.register(workspace).version for _ in range(2)] == ["1", "1"]
    environment.environment_variables["B"] = "2"
    assert environment.register(workspace).version == "2"
    assert Environment.get(workspace, "digits", version="1").environment_variables == {"A": "1"}
    assert [*Environment.list(workspace)] == ["digits"] == [*workspace.environments]


def test_what_is_registered_comes_back_without_its_password(workspace: Workspace) -> None:
    """Everything but secrets."""
    found = made().register(workspace)
    assert to_json(found) == to_json(made())
    assert found.docker.base_image_registry.address == "registry.invalid"
    assert found.docker.base_image_registry.password is None


def test_an_unknown_name_lists_those_that_there_are(workspace: Workspace) -> None:
    """A person sees what was meant."""
    made().register(workspace)
    with pytest.raises(UserErrorException, match="Registered are: digits"):
        Environment.get(workspace, "digit")


def test_azure_mls_own_environments_are_stood_for(workspace: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    """Their names tell what is in them; they can be cloned but not registered."""
    found = Environment.get(workspace, "AzureML-sklearn-0.24-ubuntu18.04-py37-cpu")
    assert "scikit-learn" in [*found.python.conda_dependencies.pip_packages]
    assert "is one of Azure ML's own" in caplog.text
    assert found.clone("mine").register(workspace).name == "mine"
    with pytest.raises(UserErrorException, match="clone it first"):
        found.register(workspace)


def test_a_folder_holds_a_definition(tmp_path: Path) -> None:
    """What is saved is loaded, with what a person changed in the conda file."""
    made().save_to_directory(str(tmp_path / "e"))
    with pytest.raises(UserErrorException, match="overwrite=True"):
        made().save_to_directory(str(tmp_path / "e"))
    conda = tmp_path / "e" / "conda_dependencies.yml"
    conda.write_text(conda.read_text().replace("numpy", "scipy"))
    found = Environment.load_from_directory(str(tmp_path / "e"))
    assert [*found.python.conda_dependencies.pip_packages] == ["scipy"]
    assert found.docker.base_image == "python:3.11"


def test_an_image_without_packages_is_used_as_it_is(tmp_path: Path) -> None:
    """`from_docker_image` alone installs nothing; with requirements it does."""
    (tmp_path / "r.txt").write_text("numpy")
    bare = Environment.from_docker_image("e", "python:3.11")
    assert bare.python.user_managed_dependencies and bare.docker.base_image == "python:3.11"
    packed = Environment.from_docker_image("e", "python:3.11", pip_requirements=str(tmp_path / "r.txt"))
    assert not packed.python.user_managed_dependencies
