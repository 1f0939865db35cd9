"""A request is checked when it is made, counts its nodes and processes, and survives JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import UsageError
from runner.spec.compute import LocalTarget, SshNode, SshTarget
from runner.spec.environment import DockerSpec, EnvironmentSpec, ImageSpec
from runner.spec.request import MpiSpec, PyTorchSpec, RunRequest, TensorflowSpec


def _request(**fields: Any) -> RunRequest:
    return RunRequest(**{"experiment_name": "digits", "source_directory": "/src", "script": "train.py", **fields})


_SSH = SshTarget(nodes=(SshNode(address="10.0.0.5", name="gpu01", ssh_port=2222), SshNode(address="b", name="b")))
_ENVIRONMENT = EnvironmentSpec(
    name="e",
    pip_requirements=("numpy", "scipy>=1"),
    interpreter_path="python3",
    docker=ImageSpec(enabled=True, base_image="i", arguments=("--gpus", "all")),
    environment_variables={"A": "1", "B": ""},
)


@pytest.mark.parametrize(
    "request_",
    [
        _request(),
        _request(script=None, command="echo $HOME && true"),
        _request(arguments=("", "a\nb", "\u00e9", "\udc80"), tags={"a": "", "b": "c"}, max_run_duration_seconds=5),
        _request(environment=_ENVIRONMENT, docker=DockerSpec(use_docker=True, arguments=("-v",), shm_size="1g")),
        _request(environment=EnvironmentSpec(pip_requirements=())),
        _request(environment=EnvironmentSpec(pip_requirements="/src/requirements.txt")),
        _request(compute_target=_SSH, distributed=MpiSpec(node_count=2, process_count_per_node=3)),
        _request(compute_target=LocalTarget(name="four", node_count=4), distributed=PyTorchSpec.of(node_count=2)),
        _request(distributed=TensorflowSpec(worker_count=2, parameter_server_count=0)),
        _request(plain_node_count=3),
    ],
)
def test_a_request_comes_back_from_json_equal(request_: RunRequest) -> None:
    """The record holds the whole request and only JSON values; warnings are no part of it."""
    record = json.loads(json.dumps(request_.to_record()))
    assert RunRequest.from_record(record) == request_
    assert "warnings" not in record


@given(
    arguments=st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)))),
    tags=st.dictionaries(st.text(min_size=1), st.text()),
)
def test_any_arguments_and_tags_come_back_from_json(arguments: list[str], tags: dict[str, str]) -> None:
    """No letter is lost in the record."""
    request_ = _request(arguments=tuple(arguments), tags=tags)
    assert RunRequest.from_record(json.loads(json.dumps(request_.to_record()))) == request_


@pytest.mark.parametrize(
    ("fields", "nodes", "processes"),
    [
        ({}, 1, 1),
        ({"plain_node_count": 3}, 3, 3),
        ({"compute_target": LocalTarget(node_count=4)}, 4, 4),
        ({"compute_target": LocalTarget(node_count=4), "plain_node_count": 2}, 2, 2),
        ({"compute_target": _SSH}, 1, 1),
        ({"distributed": MpiSpec(node_count=2, process_count_per_node=3)}, 2, 6),
        ({"distributed": PyTorchSpec.of(node_count=2)}, 2, 2),
        ({"distributed": PyTorchSpec.of(node_count=2, process_count=4)}, 2, 4),
        ({"distributed": PyTorchSpec.of(node_count=2, process_count_per_node=4)}, 2, 8),
        ({"distributed": TensorflowSpec(worker_count=2)}, 2, 3),
    ],
)
def test_nodes_and_processes_are_counted(fields: dict[str, Any], nodes: int, processes: int) -> None:
    """MPI multiplies, PyTorch's count is the total, TensorFlow has a node a worker."""
    request_ = _request(**fields)
    assert (request_.node_count, request_.process_count) == (nodes, processes)


def test_warnings_do_not_make_requests_differ() -> None:
    """They are for a person, once."""
    assert _request(warnings=("careful",)) == _request()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"script": None}, "a script or a command; found neither"),
        ({"command": "x"}, "a script or a command; found both"),
        ({"script": None, "command": "x", "arguments": ("a",)}, "'arguments' go with 'script'"),
        ({"experiment_name": "a b"}, "experiment_name 'a b' must be 1 to 255 letters"),
        ({"experiment_name": "x" * 256}, "must be 1 to 255"),
        ({"arguments": (3,)}, r"arguments\[0\] must be text, found 3"),
        ({"arguments": ("a\0",)}, "NUL"),
        ({"max_run_duration_seconds": 0}, "whole number from 1, found 0"),
        ({"max_run_duration_seconds": True}, "found True"),
        ({"tags": {"": "a"}}, "a tag needs a key"),
        ({"plain_node_count": 0}, "'node_count' must be at least 1, found 0"),
        (
            {"compute_target": _SSH, "distributed": MpiSpec(node_count=3)},
            "asks for 3 nodes, compute target 'ssh' has 2",
        ),
        ({"plain_node_count": 2, "distributed": MpiSpec(node_count=3)}, "not the 3 of the launcher"),
    ],
)
def test_what_cannot_be_meant_is_refused(fields: dict[str, Any], message: str) -> None:
    """Python users get the same refusals as files."""
    with pytest.raises(UsageError, match=message):
        _request(**fields)


@pytest.mark.parametrize("count", [0, -1, True, "two", 1.5, None, 10**9])
def test_what_is_no_count_is_refused(count: Any) -> None:
    """A launcher is not made with counts that are none."""
    for make in (
        lambda: MpiSpec(node_count=count),
        lambda: MpiSpec(process_count_per_node=count),
        lambda: PyTorchSpec(node_count=count),
        lambda: PyTorchSpec(process_count=count),
        lambda: TensorflowSpec(worker_count=count),
        lambda: LocalTarget(node_count=count if count is not None else 0),
    ):
        with pytest.raises(UsageError, match="must be"):
            make()


def test_pytorch_refuses_what_does_not_go_round() -> None:
    """The total is shared evenly, the two counts agree, MPI is no backend."""
    with pytest.raises(UsageError, match="process_count 3 is the total and cannot be shared evenly by 2 nodes"):
        PyTorchSpec.of(process_count=3, node_count=2)
    with pytest.raises(UsageError, match="process_count 3 is not process_count_per_node 2 x node_count 2"):
        PyTorchSpec.of(process_count=3, process_count_per_node=2, node_count=2)
    with pytest.raises(UsageError) as caught:
        PyTorchSpec.of(communication_backend="mpi")
    assert caught.value.message == ("mpi is not a supported backend. 'communication_backend' must be 'Nccl' or 'Gloo'.")


def test_a_backend_may_be_written_in_any_letters() -> None:
    """v1 writes it in small letters into a `.runconfig`."""
    assert PyTorchSpec.of(communication_backend="gloo").communication_backend == "Gloo"


@pytest.mark.parametrize(("name", "value"), [("", "x"), ("A=B", "x"), ("A", "x\0"), ("A", 1), ("A", "x" * 131_072)])
def test_variables_that_no_process_can_have_are_refused(name: str, value: Any) -> None:
    """A name has no `=`, a value no NUL, and together they fit the kernel's limit."""
    with pytest.raises(UsageError, match="environment variable"):
        EnvironmentSpec(environment_variables={name: value})
