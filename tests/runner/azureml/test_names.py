"""Reference azureml-v1.md 7.2 and 7.6: what scripts import and use is there on the submitting side, or says why not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from runner.azureml.enabling import disable, enable, names_folder, read_status
from runner.azureml.names import PROVIDED
from runner.errors import UsageError
from runner.sdk import Experiment, Workspace
from tests.conformance.v1_symbols import TOTAL_USES, WALK, symbols

ROOT = Path(__file__).parents[3]

# Rows of the table that nothing stands behind here, each used once in the whole corpus.
NOT_PROVIDED = {
    "HDInsightCompute.attach_configuration": "no Spark",
    "DataPathComputeBinding()": "nothing in the runner stands behind it",
    "Run._get_outputs_datapath": "has no attribute",
}
# In v1, too, only a run inside a job has them.
IN_JOB_ONLY = {"Run.input_datasets"}
# What the walk needs, made as a script makes it.
HEAD = """
import logging
logging.disable()
from pathlib import Path
from azureml.core import Experiment, Model, Workspace
from azureml.core.compute import AmlCompute, ComputeTarget
ws = Workspace.from_config()
ComputeTarget.create(ws, "pool", AmlCompute.provisioning_configuration())
Path("model.bin").write_bytes(b"")
Model.register(ws, "model.bin", "net")
run = Experiment(ws, "walk").start_logging(snapshot_directory=None)
"""


def run(
    script: str, folder: Path, *, workspace: Path | None = None, text: str = ""
) -> subprocess.CompletedProcess[str]:
    """Runs a script with the names enabled by the .pth file in `folder`."""
    head = f"import site, sys; sys.path.insert(0, {str(ROOT)!r}); site.addsitedir({str(folder)!r})\n"
    environ = {**os.environ, **({} if workspace is None else {"RUNNER_WORKSPACE": str(workspace)})}
    command = [sys.executable, "-c", head + textwrap.dedent(script)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environ, input=text)


def test_the_table_of_uses(tmp_path: Path) -> None:
    """Every symbol that v1's notebooks use is there and can be used, but for those few that say why not."""
    enable(tmp_path)
    rows = symbols()
    done = run(HEAD + WALK, tmp_path, workspace=tmp_path / "w", text="\n".join(row.expression for row in rows))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    wrong = {row.name: told[row.expression][1] for row in rows if told[row.expression][0] != "works"}
    assert wrong.keys() - IN_JOB_ONLY == NOT_PROVIDED.keys(), wrong
    for name, why in NOT_PROVIDED.items():
        assert name.removesuffix("()").rpartition(".")[2] in wrong[name] and why in wrong[name]
    working = [row for row in rows if row.name not in wrong]
    assert len(working) >= 110 and sum(row.uses for row in working) >= 0.95 * TOTAL_USES


def test_every_place_of_the_table_exists(tmp_path: Path) -> None:
    """No name is promised that the package does not have."""
    enable(tmp_path)
    script = f"import importlib\nfor module, names in {PROVIDED!r}.items():\n"
    script += "    found = importlib.import_module(module)\n    [getattr(found, name) for name in names]\nprint('all')"
    done = run(script, tmp_path)
    assert done.stdout == "all\n", done.stderr


def test_what_is_not_provided_says_which_and_why(tmp_path: Path) -> None:
    """It can be imported, since scripts import more than they use; using it raises one clear error."""
    enable(tmp_path)
    script = """
        from azureml.core.webservice import AciWebservice
        from azureml.pipeline.core import Pipeline
        for use in (lambda: AciWebservice.deploy_configuration(), lambda: Pipeline(None)):
            try:
                use()
            except Exception as error:
                print(type(error).__name__, error.message)
        try:
            import azureml.nonsense
        except ModuleNotFoundError as error:
            print(error)
        try:
            import azureml.core
            azureml.core.Nonsense
        except AttributeError as error:
            print(error)
    """
    done = run(script, tmp_path)
    assert "azureml.core.webservice.AciWebservice.deploy_configuration is not provided by scriptrun" in done.stdout
    assert "does not deploy" in done.stdout and "not pipelines" in done.stdout, done.stderr
    assert "azureml.nonsense is not provided" in done.stdout and "azureml.core.Nonsense is not provided" in done.stdout


def test_enabling_is_one_file_that_can_be_removed(tmp_path: Path) -> None:
    """And removing it twice is no error."""
    assert not read_status(tmp_path).is_enabled
    status = enable(tmp_path)
    assert status.is_enabled and [path.name for path in tmp_path.iterdir()] == [status.file.name]
    assert status.file.read_text() == f"{names_folder()}\n"
    assert disable(tmp_path) and not disable(tmp_path)
    assert not [*tmp_path.iterdir()]


def test_beside_the_real_package_it_is_refused(tmp_path: Path) -> None:
    """Two packages of one name cannot be told apart; nothing is written."""
    (tmp_path / "azureml_core-1.61.0.dist-info").mkdir()
    (tmp_path / "azureml_core-1.61.0.dist-info" / "METADATA").write_text("Name: azureml-core\nVersion: 1.61.0\n")
    with pytest.raises(UsageError, match="azureml-core is installed"):
        enable(tmp_path)
    assert not read_status(tmp_path).file.exists()


def test_a_method_that_is_not_there_says_which_and_why(tmp_path: Path) -> None:
    """As the names that are imported do; whoever asks whether it is there is told no."""
    run = Experiment(Workspace(tmp_path), "walk").start_logging(snapshot_directory=None)
    with pytest.raises(AttributeError, match=r"Run\.find_step_run is not provided by scriptrun: .* not pipelines"):
        run.find_step_run("train")  # type: ignore[attr-defined]  # that is the test
    assert not hasattr(run, "nonsense") and not hasattr(run.experiment.workspace, "webservices")
