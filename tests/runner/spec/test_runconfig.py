"""Azure ML v1's `.runconfig` files are read as they are, and written so that they read back the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.spec.compute import LocalTarget, SshNode, SshTarget
from runner.spec.config_file import read_request
from runner.spec.environment import DockerSpec, EnvironmentSpec, ImageSpec
from runner.spec.request import MpiSpec, PyTorchSpec, RunRequest, TensorflowSpec
from runner.spec.runconfig import write_runconfig

# Every key that a generated file has, with its default (azureml-v1.md 1.3).
_GENERATED = """\
# The script to run.
script: train.py
# The arguments to the script file.
arguments: []
target: local
framework: Python
communicator: None
maxRunDurationSeconds:
nodeCount: 1
priority:
environment:
  name: default-environment
  version:
  environmentVariables:
    EXAMPLE_ENV_VAR: EXAMPLE_VALUE
  python:
    userManagedDependencies: false
    interpreterPath: python
    condaDependenciesFile: .azureml/conda_dependencies.yml
    baseCondaEnvironment:
  docker:
    enabled: false
    baseImage: mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:20251130.v1
    baseDockerfile:
    buildContext:
    sharedVolumes: true
    shmSize: 2g
    arguments: []
    baseImageRegistry:
      address:
      username:
      password:
      registryIdentity:
    platform:
      os: Linux
      architecture: amd64
  spark:
    repositories: []
    packages: []
    precachePackages: true
  databricks:
    mavenLibraries: []
    pypiLibraries: []
    rcranLibraries: []
    jarLibraries: []
    eggLibraries: []
  r:
  inferencingStackVersion:
  assetId:
history:
  outputCollection: true
  snapshotProject: true
  directoriesToWatch:
  - logs
spark:
  configuration:
    spark.app.name: Azure ML Experiment
    spark.yarn.maxAppAttempts: 1
docker:
  useDocker: false
  sharedVolumes: true
  arguments: []
  shmSize: 2g
hdi:
  yarnDeployMode: cluster
tensorflow:
  workerCount: 1
  parameterServerCount: 1
mpi:
  processCountPerNode: 1
  nodeCount: 1
pytorch:
  communicationBackend: nccl
  processCount:
  nodeCount: 1
paralleltask:
  maxRetriesPerWorker: 0
  workerCountPerNode: 1
  terminalExitCodes:
dataReferences: {}
data: {}
outputData: {}
datacaches: []
sourceDirectoryDataStore:
amlcompute:
  vmSize:
  vmPriority:
  retainCluster: false
  name:
  clusterMaxNodeCount:
autoClusterComputeSpecification:
kubernetescompute:
  instanceType:
credentialPassthrough: false
command: ''
environmentVariables: {}
applicationEndpoints: {}
"""


@pytest.fixture
def generated(project: Any) -> Any:
    """A project as Azure ML v1 leaves it."""
    project.write("dependencies: [python=3.8.13]\n", ".azureml/conda_dependencies.yml")
    return project


def _read(project: Any, *changes: tuple[str, str]) -> RunRequest:
    text = _GENERATED
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    request: RunRequest = project.read(text, name=".azureml/mpi.runconfig")
    return request


def test_a_generated_file_is_read_without_a_word(generated: Any) -> None:
    """The project is the folder that `.azureml` lies in; defaults that mean nothing here are no warning."""
    request = _read(generated)
    assert request == RunRequest(
        experiment_name="mpi",
        source_directory=str(generated.folder),
        script="train.py",
        environment=EnvironmentSpec(
            conda_dependencies_file=str(generated.folder / ".azureml/conda_dependencies.yml"),
            docker=ImageSpec(base_image="mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:20251130.v1"),
            environment_variables={"EXAMPLE_ENV_VAR": "EXAMPLE_VALUE"},
        ),
        plain_node_count=1,
    )
    assert request.warnings == ()


@pytest.mark.parametrize("folder", [".azureml", "aml_config"])
@pytest.mark.parametrize("name", ["local.runconfig", "local"])
def test_the_suffix_may_be_missing(project: Any, folder: str, name: str) -> None:
    """Users of v1 tripped over it; the folder tells enough."""
    assert project.read("script: train.py\n", name=f"{folder}/{name}").source_directory == str(project.folder)


def test_a_runconfig_elsewhere_is_relative_to_its_folder(project: Any) -> None:
    """As any config file."""
    assert project.read("script: train.py\n", name="a.runconfig").source_directory == str(project.folder)


def test_a_user_managed_environment_needs_no_conda_file(project: Any) -> None:
    """The generated file names one all the same; `python` is then the interpreter that is meant."""
    environment = _read(project, ("userManagedDependencies: false", "userManagedDependencies: true")).environment
    assert (environment.user_managed_dependencies, environment.interpreter_path) == (True, "python")


@pytest.mark.parametrize(
    ("changes", "spec"),
    [
        (
            [
                ("communicator: None", "communicator: IntelMpi"),
                ("nodeCount: 1\npriority", "nodeCount: 2\npriority"),
                ("processCountPerNode: 1\n  nodeCount: 1", "processCountPerNode: 4\n  nodeCount: 2"),
            ],
            MpiSpec(node_count=2, process_count_per_node=4),
        ),
        (
            [("communicator: None", "communicator: OpenMpi"), ("nodeCount: 1\npriority", "nodeCount: 2\npriority")],
            MpiSpec(node_count=2),
        ),
        (
            [
                ("framework: Python", "framework: PyTorch"),
                ("communicator: None", "communicator: gloo"),
                ("nodeCount: 1\npriority", "nodeCount: 2\npriority"),
                ("processCount:\n", "processCount: 4\n"),
            ],
            PyTorchSpec(communication_backend="Gloo", process_count=4, node_count=2),
        ),
        (
            [
                ("framework: Python", "framework: PyTorch"),
                ("communicator: None", "communicator: nccl"),
                ("nodeCount: 1\npriority", "nodeCount: 2\npriority"),
            ],
            PyTorchSpec(process_count=2, node_count=2),
        ),
        (
            [
                ("framework: Python", "framework: TensorFlow"),
                ("communicator: None", "communicator: ParameterServer"),
                ("workerCount: 1\n  param", "workerCount: 3\n  param"),
                ("nodeCount: 1\npriority", "nodeCount: 3\npriority"),
            ],
            TensorflowSpec(worker_count=3),
        ),
        ([("nodeCount: 1\npriority", "nodeCount: 2\npriority")], None),
    ],
)
def test_the_communicator_says_who_starts_the_processes(
    generated: Any, changes: list[tuple[str, str]], spec: object
) -> None:
    """Counts come from its own section and from the top."""
    request = _read(generated, *changes)
    assert request.distributed == spec
    assert request.node_count == (2 if spec is None else spec.node_count)  # type: ignore[attr-defined]
    assert request.warnings == ()


@pytest.mark.parametrize(
    ("old", "new", "warning"),
    [
        ("priority:\n", "priority: 3\n", "'priority' has no meaning here and is left out"),
        ("vmSize:\n", "vmSize: STANDARD_D2\n", "'amlcompute.vmSize' has no meaning here and is left out"),
        ("  - logs\n", "  - logs\n  - more\n", "'history.directoriesToWatch' has no meaning here and is left out"),
        (
            "maxAppAttempts: 1",
            "maxAppAttempts: 2",
            "'spark.configuration.spark.yarn.maxAppAttempts' has no meaning here and is left out",
        ),
        ("data: {}\n", "data: {iris: {mode: mount}}\n", "'data' has no meaning here and is left out"),
        (
            "architecture: amd64",
            "architecture: arm64",
            "'environment.docker.platform.architecture' has no meaning here and is left out",
        ),
        (
            "baseCondaEnvironment:\n",
            "baseCondaEnvironment: old\n",
            "'environment.python.baseCondaEnvironment' has no meaning here and is left out",
        ),
        (
            "processCountPerNode: 1",
            "processCountPerNode: 4",
            "'mpi.process_count_per_node' is not used, because 'communicator' does not ask for Mpi",
        ),
        ("framework: Python", "framework: PySpark", "framework PySpark is run as plain Python"),
    ],
)
def test_what_is_left_out_is_told(generated: Any, old: str, new: str, warning: str) -> None:
    """A key of v1 that we do not have is no error, but whoever set it counts on it."""
    (told,) = _read(generated, (old, new)).warnings
    assert told.endswith(f": {warning}")
    assert "mpi.runconfig:" in told


def test_a_misspelt_key_is_an_error_here_too(generated: Any) -> None:
    """With the key that was meant, as the file spells its keys."""
    message = generated.refusal(
        _GENERATED.replace("nodeCount: 1\npriority", "nodeCont: 1\npriority"), name="a.runconfig"
    )
    assert "a.runconfig:9:1: unknown key 'nodeCont'; did you mean 'nodeCount'?" in message


def test_docker_is_read_from_either_section(generated: Any) -> None:
    """Files of old SDKs have it in the environment only."""
    assert _read(generated, ("enabled: false", "enabled: true")).docker.use_docker
    assert _read(generated, ("useDocker: false", "useDocker: true")).docker.use_docker


def _round_trip(request: RunRequest, path: Path) -> RunRequest:
    path.parent.mkdir(exist_ok=True)
    write_runconfig(request, path)
    return read_request(path)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"script": None, "command": "set -e\necho 'a: b' # c\n"},
        {
            "arguments": ("", "010", "null", "a\nb", "caf\u00e9", "'", '"', "- x", "# y", " "),
            "tags": {"a b": "", "1": "2"},
        },
        {"distributed": MpiSpec(node_count=2, process_count_per_node=3), "max_run_duration_seconds": 60},
        {"distributed": PyTorchSpec.of(node_count=2, process_count=4, communication_backend="Gloo")},
        {"distributed": TensorflowSpec(worker_count=2, parameter_server_count=0)},
        {"plain_node_count": 3},
        {"compute_target": LocalTarget(name="four", node_count=4)},
        {
            "compute_target": SshTarget(
                name="lab",
                username="me",
                ssh_port=22,
                nodes=(SshNode(address="10.0.0.5", name="a"), SshNode(address="b", name="b", ssh_port=23)),
            )
        },
        {"environment": EnvironmentSpec(name="e", user_managed_dependencies=True, interpreter_path="/x/python")},
        {"environment": EnvironmentSpec(pip_requirements=("numpy", "scipy>=1"), environment_variables={"A": "1e3"})},
        {
            "environment": EnvironmentSpec(docker=ImageSpec(enabled=True, base_dockerfile="FROM x\nRUN y\n")),
            "docker": DockerSpec(use_docker=True, arguments=("--gpus", "all"), shm_size="1g", shared_volumes=False),
        },
    ],
)
def test_a_written_file_reads_back_equal(project: Any, fields: dict[str, Any]) -> None:
    """Whatever a request holds, in `.azureml` and anywhere."""
    made = {"experiment_name": "x", "source_directory": str(project.folder), "script": "train.py", **fields}
    request = RunRequest(**made)
    assert _round_trip(request, project.folder / ".azureml" / "a.runconfig") == request
    assert _round_trip(request, project.folder.parent / "b.runconfig") == request


_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)))


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(arguments=st.lists(_TEXT), tags=st.dictionaries(_TEXT.filter(bool), _TEXT), value=_TEXT)
def test_any_text_comes_back_from_a_written_file(
    project: Any, arguments: list[str], tags: dict[str, str], value: str
) -> None:
    """In arguments, tags and variables."""
    request = RunRequest(
        experiment_name="x",
        source_directory=str(project.folder),
        script="train.py",
        arguments=tuple(arguments),
        tags=tags,
        environment=EnvironmentSpec(environment_variables={"A": value}),
    )
    assert _round_trip(request, project.folder / "a.runconfig") == request


_WORKBENCH = """\
ArgumentVector:
  - "$file"
Target: "docker-python"
EnvironmentVariables:
  "EXAMPLE_ENV_VAR": "Example Value"
Framework: "Python"
CondaDependenciesFile: "aml_config/conda_dependencies.yml"
SparkDependenciesFile: "aml_config/spark_dependencies.yml"
PrepareEnvironment: true
TrackedRun: true
"""


@pytest.fixture
def workbench(project: Any) -> Any:
    """A project as Azure ML Workbench left it."""
    project.write("dependencies: []\n", "aml_config/conda_dependencies.yml")
    project.write(
        'type: "localdocker"\nbaseDockerImage: "img:1"\n#sharedVolumes: true\n', "aml_config/docker-python.compute"
    )
    return project


def test_a_workbench_file_takes_its_script_from_the_command_line(workbench: Any) -> None:
    """`$file` is the first word behind `--`, the rest are its arguments; the `.compute` file says where."""
    request = workbench.read(_WORKBENCH, name="aml_config/docker-python.runconfig", extra=("train.py", "0.5"))
    assert (request.script, request.arguments) == ("train.py", ("0.5",))
    assert request.source_directory == str(workbench.folder)
    assert (request.docker.use_docker, request.environment.docker.base_image) == (True, "img:1")
    assert request.environment.environment_variables == {"EXAMPLE_ENV_VAR": "Example Value"}
    assert request.environment.conda_dependencies_file == str(workbench.folder / "aml_config/conda_dependencies.yml")
    assert request.warnings == ()


def test_a_workbench_file_may_name_its_script(workbench: Any) -> None:
    """Then everything behind `--` is an argument."""
    text = "ArgumentVector: [train.py, 1e-3]\nTarget: local\n"
    request = workbench.read(text, name="aml_config/local.runconfig", extra=("x",))
    assert (request.script, request.arguments) == ("train.py", ("1e-3", "x"))


def test_a_workbench_file_without_a_script_says_how_to_name_it(workbench: Any) -> None:
    """It cannot be guessed."""
    message = workbench.refusal(_WORKBENCH, name="aml_config/docker-python.runconfig")
    assert message == (
        "PROJECT/aml_config/docker-python.runconfig: has neither 'script' nor 'command'\n"
        "  try: runner submit PROJECT/aml_config/docker-python.runconfig -- train.py"
    )


def test_remote_targets_of_workbench_become_ssh(workbench: Any) -> None:
    """The address and the user are taken over; clusters are gone."""
    workbench.write("type: remotedocker\naddress: 10.0.0.7\nusername: me\npassword: vault\n", "aml_config/vm.compute")
    workbench.write("type: cluster\n", "aml_config/hdi.compute")
    request = workbench.read("ArgumentVector: [train.py]\nTarget: vm\n", name="aml_config/vm.runconfig")
    assert request.docker.use_docker
    assert request.compute_target == SshTarget(nodes=(SshNode(address="10.0.0.7", name="10.0.0.7"),), username="me")
    message = workbench.refusal("ArgumentVector: [train.py]\nTarget: hdi\n", name="aml_config/hdi.runconfig")
    assert message.startswith("PROJECT/aml_config/hdi.compute:1:7: targets of type 'cluster' are gone")
