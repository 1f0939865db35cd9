"""A config file becomes the request that it describes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from runner.spec.compute import LocalTarget
from runner.spec.config_file import experiment_name_of, read_request
from runner.spec.environment import DockerSpec, EnvironmentSpec, ImageSpec
from runner.spec.request import MpiSpec, PyTorchSpec, RunRequest, TensorflowSpec

_WHOLE = """
experiment_name: first-try
source_directory: src
script: train.py
arguments: [--epochs, 3]
environment:
  name: digits
  python: {user_managed_dependencies: false, interpreter_path: python3, pip_requirements: requirements.txt,
           conda_dependencies_file: null}
  docker: {base_image: null, base_dockerfile: null, build_context: null, arguments: [], shm_size: 2g}
  environment_variables: {OMP_NUM_THREADS: "1", LR: 1e-3}
compute_target: local
distributed_job_config: {type: Mpi, process_count_per_node: 2, node_count: 2}
docker_runtime_config: {use_docker: false}
max_run_duration_seconds: 3600
tags: {team: vision, year: 2020}
"""


def test_the_whole_config_of_the_design_is_read(project: Any) -> None:
    """Every key of DESIGN section 4, paths relative to the config file, scalars of maps as written."""
    project.write("print()", "src/train.py")
    assert project.read(_WHOLE) == RunRequest(
        experiment_name="first-try",
        source_directory=str(project.folder / "src"),
        script="train.py",
        arguments=("--epochs", "3"),
        environment=EnvironmentSpec(
            name="digits",
            interpreter_path="python3",
            pip_requirements=str(project.folder / "requirements.txt"),
            environment_variables={"OMP_NUM_THREADS": "1", "LR": "1e-3"},
        ),
        compute_target=LocalTarget(),
        distributed=MpiSpec(process_count_per_node=2, node_count=2),
        max_run_duration_seconds=3600,
        tags={"team": "vision", "year": "2020"},
    )


def test_one_line_is_a_config(project: Any) -> None:
    """Everything else has a default: the file's name, the file's folder, this machine."""
    assert project.read("script: train.py\n") == RunRequest(
        experiment_name="digits", source_directory=str(project.folder), script="train.py"
    )


def test_camel_case_is_the_same(project: Any) -> None:
    """As a `.runconfig` writes it."""
    camel = """
script: train.py
experimentName: a
distributedJobConfig: {type: PyTorch, processCount: 4, nodeCount: 2, communicationBackend: gloo}
environment: {python: {pipRequirements: [numpy]}, environmentVariables: {A_b: 1}}
maxRunDurationSeconds: 5
"""
    snake = """
script: train.py
experiment_name: a
distributed_job_config: {type: PyTorch, process_count: 4, node_count: 2, communication_backend: gloo}
environment: {python: {pip_requirements: [numpy]}, environment_variables: {A_b: 1}}
max_run_duration_seconds: 5
"""
    assert project.read(camel) == project.read(snake)


def test_null_is_not_given(project: Any) -> None:
    """A key with nothing behind it has its default."""
    text = "script: train.py\ncommand:\narguments: ~\nenvironment: null\ntags:\nmax_run_duration_seconds: null\n"
    assert project.read(text) == project.read("script: train.py\n")


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("command: python a.py && python b.py\n", "python a.py && python b.py"),
        ("command: [python, a.py, --n, 3]\n", "python a.py --n 3"),
        ("command: |\n  set -e\n  python a.py\n", "set -e\npython a.py\n"),
    ],
)
def test_a_command_is_text_or_a_list(project: Any, text: str, command: str) -> None:
    """A list is joined with blanks, as Azure ML v1 does."""
    request = project.read(text)
    assert (request.command, request.script, request.arguments) == (command, None, ())


def test_extra_arguments_of_a_command_are_quoted(project: Any) -> None:
    """They reach the last program exactly, whatever they hold."""
    assert project.read("command: echo\n", extra=("a b", "$x")).command == "echo 'a b' '$x'"


@pytest.mark.parametrize(
    ("config", "spec", "nodes"),
    [
        ("{type: Mpi}", MpiSpec(), 1),
        ("{type: mpi, node_count: 2}", MpiSpec(node_count=2), 2),
        ("{type: PyTorch, node_count: 2}", PyTorchSpec(process_count=2, node_count=2), 2),
        ("{type: PyTorch, process_count_per_node: 3}", PyTorchSpec(process_count=3), 1),
        (
            "{type: PyTorch, process_count: 4, process_count_per_node: 2, node_count: 2}",
            PyTorchSpec(process_count=4, node_count=2),
            2,
        ),
        ("{type: TensorFlow, worker_count: 3}", TensorflowSpec(worker_count=3), 3),
        ("{type: Tensorflow, parameter_server_count: 0}", TensorflowSpec(parameter_server_count=0), 1),
    ],
)
def test_launchers_are_read(project: Any, config: str, spec: object, nodes: int) -> None:
    """With the defaults of Azure ML v1."""
    request = project.read(f"script: train.py\ndistributed_job_config: {config}\n")
    assert (request.distributed, request.node_count) == (spec, nodes)


def test_nodes_of_a_local_target_are_all_used(project: Any) -> None:
    """Unless the launcher says how many it wants."""
    head = "script: train.py\ncompute_target: {type: local, node_count: 3}\n"
    assert project.read(head + "distributed_job_config: {type: Mpi}\n").node_count == 3
    assert project.read(head + "distributed_job_config: {type: PyTorch, process_count: 6}\n").node_count == 3
    assert project.read(head + "distributed_job_config: {type: Tensorflow}\n").node_count == 3
    assert project.read(head + "distributed_job_config: {type: Mpi, node_count: 2}\n").node_count == 2
    assert project.read(head + "node_count: 2\n").node_count == 2


def test_docker_is_asked_for_in_either_way(project: Any) -> None:
    """`environment.docker.enabled` is v1's older way; what the runtime config leaves out comes from there."""
    old = project.read("script: train.py\nenvironment: {docker: {enabled: true, shm_size: 1g, arguments: [-v, a]}}\n")
    assert old.docker == DockerSpec(use_docker=True, shm_size="1g", arguments=("-v", "a"))
    new = project.read("script: train.py\ndocker_runtime_config: {use_docker: true, shm_size: 512}\n")
    assert new.docker == DockerSpec(use_docker=True, shm_size="512")


def test_an_image_is_read(project: Any) -> None:
    """A Dockerfile is a file, or its content; a context is a folder."""
    path = project.write("FROM x\n", "docker/Dockerfile")
    base = "script: train.py\nenvironment: {docker: {%s}}\n"
    image = project.read(base % "base_image: 'python:3.11'").environment.docker
    assert image == ImageSpec(base_image="python:3.11")
    assert project.read(base % "base_dockerfile: docker/Dockerfile").environment.docker.base_dockerfile == str(path)
    assert project.read(base % 'base_dockerfile: "FROM x\\n"').environment.docker.base_dockerfile == "FROM x\n"
    assert project.read(base % "build_context: docker").environment.docker.build_context == str(path.parent)


def test_pip_requirements_may_be_a_list(project: Any) -> None:
    """And an empty list is an environment without packages."""
    text = "script: train.py\nenvironment: {python: {pip_requirements: %s}}\n"
    assert project.read(text % "[numpy, 'torch==2.5']").environment.pip_requirements == ("numpy", "torch==2.5")
    assert project.read(text % "[]").environment.pip_requirements == ()


def test_an_interpreter_is_a_name_or_a_path(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name is looked up later, where the job runs; a path is the config's, or the person's home."""
    monkeypatch.setenv("HOME", "/home/me")
    text = "script: train.py\nenvironment: {python: {interpreter_path: %s}}\n"
    found = [
        project.read(text % path).environment.interpreter_path
        for path in ("python3", "venv/bin/python", "~/venv/bin/python", "/usr/bin/python3")
    ]
    expected = [str(project.folder / "venv/bin/python"), "/home/me/venv/bin/python", "/usr/bin/python3"]
    assert found == ["python3", *expected]


def test_variables_of_the_run_outrank_those_of_the_environment(project: Any) -> None:
    """RunConfiguration's own are the newer way in Azure ML v1."""
    text = "script: train.py\nenvironment: {environment_variables: {A: 1, B: 2}}\nenvironment_variables: {B: 3}\n"
    assert project.read(text).environment.environment_variables == {"A": "1", "B": "3"}


def test_requirements_that_are_not_installed_are_told(project: Any) -> None:
    """A user-managed environment is left alone."""
    text = "script: train.py\nenvironment: {python: {user_managed_dependencies: true, pip_requirements: [numpy]}}\n"
    (warning,) = project.read(text).warnings
    assert warning.endswith(
        "digits.yml:2:75: 'pip_requirements' is not installed, because user_managed_dependencies is true"
    )


def test_a_script_may_lie_deeper_and_be_a_link(project: Any) -> None:
    """As long as it stays inside; the path is kept in its shortest form."""
    project.write("print()", "deep/er/run.py")
    (project.folder / "link.py").symlink_to("deep/er/run.py")
    assert project.read("script: ./deep/../deep/er/run.py\n").script == "deep/er/run.py"
    assert project.read("script: link.py\n").script == "link.py"
    assert project.read(f"script: {project.folder}/train.py\n").script == "train.py"


def test_a_config_may_be_read_from_anywhere(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path on the command line gives absolute paths in the request."""
    project.write("script: train.py\n")
    monkeypatch.chdir(project.folder.parent)
    assert read_request(Path("project/digits.yml")).source_directory == os.path.abspath("project")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("digits.yml", "digits"),
        ("my run (2).yml", "my_run_2_"),
        (".hidden", "hidden"),
        ("\u00e9\u00e9.yml", "experiment"),
        ("-x.yml", "x"),
        ("a.b.yml", "a_b"),
        ("x" * 240 + ".yml", "x" * 100),
    ],
)
def test_the_name_of_the_experiment_is_the_files(file: str, name: str) -> None:
    """Made valid where it is not."""
    assert experiment_name_of(Path(file)) == name


def test_a_misspelt_requirements_file_is_recognised(project: Any) -> None:
    """The file that was probably meant is named, relative to the config as it was written."""
    project.write("numpy\n", "env/requirements.txt")
    text = "script: train.py\nenvironment: {python: {pip_requirements: env/requirement.txt}}\n"
    assert project.refusal(text).endswith("doesn't exist\n  try: pip_requirements: env/requirements.txt")
