"""CondaDependencies, and what a job's environment makes of it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from runner.sdk import CondaDependencies, Environment, ScriptRunConfig
from runner.sdk.exceptions import UserErrorException
from runner.sdk.handover import to_request
from runner.spec.environment import EnvironmentSpec
from sidecar.contract.layout import WorkspaceLayout


def spec_of(project: Path, dependencies: CondaDependencies) -> EnvironmentSpec:
    environment = Environment("e")
    environment.python.conda_dependencies = dependencies
    config = ScriptRunConfig(project, "train.py", environment=environment)
    return to_request(config, experiment_name="d", workspace=WorkspaceLayout(project.parent / "w")).environment


def test_packages_are_added_replaced_and_removed() -> None:
    """By their names, whatever version is written behind them."""
    found = CondaDependencies.create(["scikit-learn=0.22"], ["azureml-defaults", "joblib"], python_version="3.8")
    found.add_conda_package("scikit_learn")
    found.add_pip_package("joblib==1.3")
    found.add_channel("conda-forge")
    found.remove_pip_package("azureml-defaults")
    assert [*found.conda_packages] == ["python=3.8", "scikit_learn"]
    assert ([*found.pip_packages], [*found.conda_channels]) == (["joblib==1.3"], ["conda-forge"])
    assert found.python_version == "3.8"


def test_a_conda_file_is_read_and_written(tmp_path: Path) -> None:
    """What is saved is loaded, and a file that is none of conda's is refused."""
    found = CondaDependencies.create(pip_packages=["numpy"], pip_indexurl="https://index.invalid/simple")
    name = found.save_to_file(str(tmp_path))
    assert CondaDependencies(str(tmp_path / name)) == found
    assert [*found.pip_options] == ["--index-url https://index.invalid/simple"]
    (tmp_path / "none.yml").write_text("[1]")
    with pytest.raises(UserErrorException, match="is no conda file"):
        CondaDependencies(str(tmp_path / "none.yml"))


def test_without_conda_pip_installs_what_it_can(
    project: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Conda's packages get pip's names and versions, with a notice; Azure ML's own packages are left out."""
    monkeypatch.setenv("PATH", str(project))
    dependencies = CondaDependencies.create(
        ["scikit-learn=0.22.1", "pytorch", "pip<20.3", "numpy>=1.2", "scipy==1.1=py38_0"],
        ["azureml-defaults", "azureml-mlflow", "joblib"],
    )
    with caplog.at_level(logging.WARNING):
        found = spec_of(project, dependencies)
    assert found.pip_requirements == (
        "scikit-learn==0.22.1.*", "torch", "numpy>=1.2", "scipy==1.1", "joblib", "mlflow-skinny",
    )  # fmt: skip
    assert "no conda is used" in caplog.text and "azureml-defaults" in caplog.text


def test_where_there_is_conda_it_is_used(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job on this machine is built by its conda, from a file without Azure ML's packages."""
    conda = project / "conda"
    conda.write_text("#!/bin/sh\n")
    conda.chmod(0o755)
    monkeypatch.setenv("PATH", str(project))
    found = spec_of(project, CondaDependencies.create(["numpy"], ["azureml-sdk"]))
    assert found.pip_requirements is None and found.conda_dependencies_file is not None
    assert "azureml" not in Path(found.conda_dependencies_file).read_text()
    assert spec_of(project, CondaDependencies.create(pip_packages=["numpy"])).conda_dependencies_file is None


def test_user_managed_packages_are_not_installed(project: Path) -> None:
    """v1's scripts leave the packages in place when they say that the environment is theirs."""
    environment = Environment("e")
    environment.python.user_managed_dependencies = True
    environment.python.conda_dependencies = CondaDependencies.create(["numpy"])
    config = ScriptRunConfig(project, "train.py", environment=environment)
    found = to_request(config, experiment_name="d", workspace=WorkspaceLayout(project)).environment
    assert (found.pip_requirements, found.conda_dependencies_file) == (None, None)
