"""Reference azureml-v1.md 7.2 and 7.6: every name that scripts import or use works in a job, or says why it cannot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.conformance.conftest import RUN_ID, SITE
from tests.conformance.v1_symbols import WALK, symbols

# (how the table writes it, how a script reaches it) of 7.2 with its long tail; `run` is the job's.
WORK = """
Run.log run.log
Run.get_context Run.get_context
Run.log_image run.log_image
Run.log_list run.log_list
Run.log_row run.log_row
Run.log_table run.log_table
Run.get_metrics run.get_metrics
Run.get_status run.get_status
Run.status run.status
Run.register_model run.register_model
Run.complete run.complete
Run.cancel run.cancel
Run.fail run.fail
Run.get_file_names run.get_file_names
Run.get_details run.get_details
Run.tag run.tag
Run.get_tags run.get_tags
Run.upload_file run.upload_file
Run.download_file run.download_file
Run.id run.id
Run.input_datasets run.input_datasets
Run.add_properties run.add_properties
Run.get_properties run.get_properties
Run.child_run run.child_run
Run.create_children run.create_children
Run.get_children run.get_children
Run.get_environment run.get_environment
Run.get_secret run.get_secret
Run.wait_for_completion run.wait_for_completion
Run() azureml.core.Run
VERSION azureml.core.VERSION
Experiment() azureml.core.Experiment
Workspace() azureml.core.Workspace
Workspace.from_config azureml.core.Workspace.from_config
Workspace.name run.experiment.workspace.name
Workspace.location run.experiment.workspace.location
Workspace.resource_group run.experiment.workspace.resource_group
Workspace.subscription_id run.experiment.workspace.subscription_id
Workspace.get_details run.experiment.workspace.get_details
Workspace.get_default_keyvault run.experiment.workspace.get_default_keyvault
Environment() azureml.core.Environment
Environment.python run.get_environment().python.user_managed_dependencies
Environment.docker run.get_environment().docker.enabled
Environment.environment_variables run.get_environment().environment_variables
PythonSection.user_managed_dependencies run.get_environment().python.user_managed_dependencies
DockerSection.enabled run.get_environment().docker.enabled
Keyvault.get_secret run.experiment.workspace.get_default_keyvault().get_secret
RunDetails() azureml.widgets.RunDetails
RunDetails.show azureml.widgets.RunDetails(run).show
"""
SAY_WHY = """
Experiment.submit run.experiment.submit
Experiment.start_logging run.experiment.start_logging
Experiment.get_runs run.experiment.get_runs
Workspace.compute_targets run.experiment.workspace.compute_targets
Workspace.get_default_datastore run.experiment.workspace.get_default_datastore
Workspace.write_config run.experiment.workspace.write_config
Workspace.create azureml.core.Workspace.create
Workspace.experiments run.experiment.workspace.experiments
Workspace.environments run.experiment.workspace.environments
Run.get_details_with_logs run.get_details_with_logs
Run.restore_snapshot run.restore_snapshot
Run.get_best_run_by_primary_metric run.get_best_run_by_primary_metric
Environment.get azureml.core.Environment.get
Environment.register azureml.core.Environment.register
Environment.from_conda_specification azureml.core.Environment.from_conda_specification
Environment.list azureml.core.environment.Environment.list
Environment.clone run.get_environment().clone
Keyvault.set_secret run.experiment.workspace.get_default_keyvault().set_secret
Model.register azureml.core.model.Model.register
Model.get_model_path azureml.core.Model.get_model_path
Model() azureml.core.model.Model(None,'m')
ScriptRunConfig() azureml.core.ScriptRunConfig()
RunConfiguration() azureml.core.runconfig.RunConfiguration()
MpiConfiguration() azureml.core.runconfig.MpiConfiguration()
PyTorchConfiguration() azureml.core.runconfig.PyTorchConfiguration()
TensorflowConfiguration() azureml.core.runconfig.TensorflowConfiguration()
DockerConfiguration() azureml.core.runconfig.DockerConfiguration()
CondaDependencies() azureml.core.conda_dependencies.CondaDependencies()
CondaDependencies.create azureml.core.environment.CondaDependencies.create
ComputeTarget() azureml.core.ComputeTarget()
ComputeTarget.create azureml.core.compute.ComputeTarget.create
ComputeTarget.attach azureml.core.compute.ComputeTarget.attach
ComputeTarget.provisioning_configuration azureml.core.compute.AmlCompute.provisioning_configuration
RemoteCompute() azureml.core.compute.RemoteCompute()
HDInsightCompute.attach_configuration azureml.core.compute.HDInsightCompute.attach_configuration
Dataset.File azureml.core.Dataset.File
Dataset.Tabular azureml.core.dataset.Dataset.Tabular
Dataset.get_by_name azureml.core.Dataset.get_by_name
Datastore.upload_files azureml.core.Datastore.upload_files
OutputFileDatasetConfig() azureml.data.OutputFileDatasetConfig()
DataReference() azureml.data.data_reference.DataReference()
DataPathComputeBinding() azureml.data.datapath.DataPathComputeBinding()
HyperDriveConfig() azureml.train.hyperdrive.HyperDriveConfig()
PrimaryMetricGoal.MAXIMIZE azureml.train.hyperdrive.PrimaryMetricGoal.MAXIMIZE
RandomParameterSampling() azureml.train.hyperdrive.RandomParameterSampling()
TruncationSelectionPolicy() azureml.train.hyperdrive.TruncationSelectionPolicy()
TensorFlow() azureml.train.dnn.TensorFlow()
Tensorboard() azureml.tensorboard.Tensorboard()
export_to_tensorboard azureml.tensorboard.export.export_to_tensorboard()
MNIST.get_file_dataset azureml.opendatasets.MNIST.get_file_dataset
Diabetes.get_tabular_dataset azureml.opendatasets.Diabetes.get_tabular_dataset
InteractiveLoginAuthentication() azureml.core.authentication.InteractiveLoginAuthentication()
TokenAuthentication.get_token azureml.core.authentication.TokenAuthentication.get_token
Audience.aml azureml.core.authentication.Audience.aml
AutoMLConfig() azureml.train.automl.AutoMLConfig()
PipelineData() azureml.pipeline.core.PipelineData()
"""
# Evaluates every line of standard input, importing the modules that it names, and tells how it went.
SCRIPT = """
import importlib, json, sys
from azureml.core import Run
run = Run.get_context()
told = {}
for line in sys.stdin.read().splitlines():
    parts = line.split("(")[0].split(".")
    try:
        scope = {"run": run, "Run": Run}
        if parts[0] == "azureml":
            for count in range(1, len(parts)):
                try: scope["azureml"] = [importlib.import_module(".".join(parts[:count])), sys.modules["azureml"]][1]
                except ModuleNotFoundError: break
        eval(line, scope)
        told[line] = ["works", ""]
    except BaseException as error:
        told[line] = [type(error).__name__, getattr(error, "message", str(error))]
json.dump(told, sys.__stdout__)
"""


def lines(table: str) -> list[tuple[str, str]]:
    """(name in the table, expression)."""
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in table.strip().splitlines()]


def as_job(source: str, tmp_path: Any, text: str = "") -> str:
    """What `source` prints, run where `azureml` can be found, inside a job."""
    environ = {
        **os.environ,
        "PYTHONPATH": str(SITE),
        "AZUREML_RUN_ID": RUN_ID,
        "RUNNER_METRICS_FILE": str(tmp_path / "main.jsonl"),
        "RUNNER_RUN_ROOT": str(tmp_path),
    }
    (tmp_path / "context").write_text(json.dumps({"environment": {"docker": {"enabled": False}}}))
    environ["RUNNER_JOB_CONTEXT_FILE"] = str(tmp_path / "context")
    command = [sys.executable, "-W", "error", "-c", source]
    done = subprocess.run(command, env=environ, input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    """How every expression of both tables went."""
    text = "\n".join(expression for _, expression in lines(WORK) + lines(SAY_WHY))
    found: dict[str, tuple[str, str]] = json.loads(as_job(SCRIPT, tmp_path_factory.mktemp("job"), text))
    return found


@pytest.mark.parametrize(("name", "expression"), lines(WORK))
def test_name_works_in_a_job(name: str, expression: str, told: dict[str, tuple[str, str]]) -> None:
    """What an in-job script needs is there."""
    assert told[expression][0] == "works", f"{name}: {told[expression]}"


@pytest.mark.parametrize(("name", "expression"), lines(SAY_WHY))
def test_name_says_why_it_does_not(name: str, expression: str, told: dict[str, tuple[str, str]]) -> None:
    """What belongs to the submitting machine raises one error that has the name and the reason in it."""
    kind, message = told[expression]
    last = name.removesuffix("()").rpartition(".")[2]
    assert kind in ("NotProvidedError", "AttributeError")
    assert " is not provided inside a job: " in message and (last in message or "the model m" in message)


def test_the_table_of_uses_in_a_job(tmp_path: Any) -> None:
    """Every symbol that v1's notebooks use can be imported in a job; what it cannot be used for there it says."""
    rows = symbols()
    head = "from azureml.core import Run\nrun = Run.get_context()\n"
    told = json.loads(as_job(head + WALK, tmp_path, "\n".join(row.expression for row in rows)))
    for row in rows:
        kind, message = told[row.expression]
        assert kind == "works" or " is not provided inside a job: " in message, f"{row.name}: {kind}: {message}"


IMPORTS = """
from azureml.core.run import Run
from azureml.core.environment import CondaDependencies
from azureml.core.runconfig import RunConfiguration, DEFAULT_CPU_IMAGE, MpiConfiguration
from azureml.core.compute_target import ComputeTargetException
from azureml.core.compute import ComputeTarget, AmlCompute
from azureml.exceptions import ActivityFailedException, UserErrorException
from azureml.telemetry import set_diagnostics_collection
from azureml.widgets import RunDetails
from azureml.core import Workspace, Experiment, Dataset, Datastore, ScriptRunConfig, Environment, Model
from azureml.train.hyperdrive import HyperDriveConfig, choice, uniform
import azureml.core
from azureml.core.run import Run, _OfflineRun
from azureml.data.datapath import DataPath
from azureml.logging import get_azureml_logger
from azureml.pipeline.core import Pipeline
from azureml.core.authentication import *
"""


def test_imports_of_scripts(tmp_path: Any) -> None:
    """The imports that scripts have at their top go through, whatever they use of it (7.6)."""
    more = "\nset_diagnostics_collection(send_diagnostics=True)\nassert azureml.core.VERSION.startswith('1.')"
    assert as_job(IMPORTS + more, tmp_path) == ""


@pytest.mark.parametrize(
    "code", ["from azureml.core import Nonsense", "import azureml.nonsense", "from azureml import nonsense"]
)
def test_unknown_names_are_refused_at_import(code: str, tmp_path: Any) -> None:
    """A name that v1 does not have either is an import error that says so."""
    source = f"try: {code}\nexcept ImportError as error: print(error)"
    assert "onsense is not provided inside a job: no such name" in as_job(source, tmp_path)


def test_exceptions_are_the_ones_that_calls_raise(tmp_path: Any) -> None:
    """What a script catches by `azureml.exceptions` is what `Run` raises, a missing name included."""
    source = """
from azureml.core import Run, ScriptRunConfig
from azureml.exceptions import AzureMLException, UserErrorException
for call in (lambda: Run.get_context().log("a", [1]), lambda: ScriptRunConfig("."), lambda: Run(None, "x")):
    try: call()
    except UserErrorException as error: print(isinstance(error, AzureMLException), error.message[:20])
"""
    assert as_job(source, tmp_path).count("True") == 3


def test_workbench_logger(tmp_path: Any) -> None:
    """`get_azureml_logger` of Workbench logs numbers, texts, lists and dicts, and keeps texts as files (5.2)."""
    source = """
from azureml.logging import get_azureml_logger
from azureml.core import Run
logger = get_azureml_logger()
for name, value in (("a", 1), ("b", "x"), ("c", [1, 2]), ("d", {"x": 1}), ("e", {"x": [1, 2]})):
    logger.log(name, value).wait()
logger.upload("notes/a.txt", "contents")
run = Run.get_context()
print(run.get_metrics(), "notes/a.txt" in run.get_file_names())
"""
    shown = "{'a': 1, 'b': 'x', 'c': [1, 2], 'd': {'x': 1}, 'e': {'x': [1, 2]}} True\n"
    assert as_job(source, tmp_path) == shown
