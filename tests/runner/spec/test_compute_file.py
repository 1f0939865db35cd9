"""A compute target is `local`, a name, or a mapping; nodes come as addresses, ranges and mappings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.errors import UsageError
from runner.spec.compute import LocalTarget, SshNode, SshTarget
from runner.spec.compute_file import expand_range, known_targets, read_compute_file, read_named_target


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("gpu01", ["gpu01"]),
        ("gpu[02-04]", ["gpu02", "gpu03", "gpu04"]),
        ("gpu[8-11]", ["gpu8", "gpu9", "gpu10", "gpu11"]),
        ("n[1,3-4].lan", ["n1.lan", "n3.lan", "n4.lan"]),
        ("r[1-2]n[1-2]", ["r1n1", "r1n2", "r2n1", "r2n2"]),
        ("[098-101]", ["098", "099", "100", "101"]),
    ],
)
def test_a_range_is_expanded(text: str, names: list[str]) -> None:
    """The width of the first number is kept, several brackets multiply."""
    assert expand_range(text) == names


@pytest.mark.parametrize(
    "text", ["gpu[", "gpu]", "gpu[]", "gpu[a-b]", "gpu[4-2]", "gpu[1-]", "[1-99999999]", "[1-999][1-999]", "[[1-2]]"]
)
def test_what_is_no_range_is_refused(text: str) -> None:
    """Also one that stands for more machines than anybody has."""
    with pytest.raises(UsageError, match=r"range|more than"):
        expand_range(text)


_SSH = """
type: ssh
username: me
private_key_file: {key}
ssh_port: 2222
nodes:
  - {{address: 10.0.0.5, name: gpu01}}
  - gpu[02-03]
  - {{address: "10.0.1.[1-2]", name: "cpu[1-2]", ssh_port: 22}}
host_key_policy: accept-new
work_directory: /scratch/me
"""


def test_a_compute_file_is_read(project: Any) -> None:
    """Every key of DESIGN section 4; the name is the file's."""
    key = project.write("secret", "id_test")
    target = read_compute_file(project.write(_SSH.format(key="id_test"), "lab.yml"))
    assert target == SshTarget(
        name="lab",
        username="me",
        private_key_file=str(key),
        ssh_port=2222,
        nodes=(
            SshNode(address="10.0.0.5", name="gpu01"),
            SshNode(address="gpu02", name="gpu02"),
            SshNode(address="gpu03", name="gpu03"),
            SshNode(address="10.0.1.1", name="cpu1", ssh_port=22),
            SshNode(address="10.0.1.2", name="cpu2", ssh_port=22),
        ),
        host_key_policy="accept-new",
        work_directory="/scratch/me",
    )


def test_a_target_is_found_by_its_name(project: Any) -> None:
    """In the workspace's compute folder."""
    project.write("type: ssh\nnodes: [gpu01]\n", "compute/lab.yml")
    request = project.read("script: train.py\ncompute_target: lab\n")
    assert request.compute_target == SshTarget(name="lab", nodes=(SshNode(address="gpu01", name="gpu01"),))


def test_targets_may_stand_in_the_config(project: Any) -> None:
    """A mapping as in a compute file, in camelCase too."""
    local = project.read("script: train.py\ncompute_target: {type: local, nodeCount: 3}\n")
    assert local.compute_target == LocalTarget(node_count=3)
    assert local.node_count == 3
    ssh = project.read("script: train.py\ncompute_target: {type: ssh, sshPort: 24, nodes: [a]}\n")
    assert isinstance(ssh.compute_target, SshTarget)
    assert ssh.compute_target.ssh_port == 24


def test_known_targets_are_local_and_the_compute_files(tmp_path: Path) -> None:
    """Other files, and a folder that is not there, count for nothing."""
    for name in ("b.yml", "a.yml", "notes.txt", ".hidden.yml", "local.yml"):
        (tmp_path / name).touch()
    assert known_targets(tmp_path) == ("local", "a", "b")
    assert known_targets(tmp_path / "none") == known_targets(None) == ("local",)
    assert read_named_target("local", None) == LocalTarget()


def test_an_unknown_target_lists_those_that_there_are(project: Any) -> None:
    """With the one that was probably meant."""
    project.write("type: local\n", "compute/gpu-lab.yml")
    assert project.refusal("script: train.py\ncompute_target: gpulab\n") == (
        "PROJECT/digits.yml:2:17: there is no compute target 'gpulab'; did you mean 'gpu-lab'?\n"
        "  try: one of local, gpu-lab (compute files lie in PROJECT/compute)"
    )
    assert "there is no compute target '../digits'" in project.refusal("script: train.py\ntarget: ../digits\n")


def test_a_broken_compute_file_is_named(project: Any) -> None:
    """Not the config that uses it."""
    project.write("type: ssh\nnode: [a]\n", "compute/lab.yml")
    assert project.refusal("script: train.py\ncompute_target: lab\n").startswith(
        "PROJECT/compute/lab.yml:2:1: unknown key 'node'; did you mean 'nodes'?"
    )


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            "3",
            "1:17: 'compute_target' must be a name or a mapping, found a whole number 3\n  try: compute_target: local",
        ),
        ("[a]", "1:17: 'compute_target' must be a name or a mapping, found a list\n  try: compute_target: local"),
        ("{}", "1:17: 'compute_target.type' is missing\n  try: one of local, ssh"),
        ("{type: slurm}", "1:24: 'compute_target.type' is 'slurm'\n  try: one of local, ssh"),
        ("{type: local, node_count: 0}", "1:43: 'compute_target.node_count' must be at least 1, found 0"),
        (
            "{type: local, username: me}",
            "1:31: unknown key 'username' in 'compute_target'\n  try: one of type, name, node_count",
        ),
        ("{type: ssh}", "1:17: 'compute_target.nodes' is missing\n  try: nodes: [gpu01, gpu02]"),
        ("{type: ssh, nodes: []}", "1:36: 'compute_target.nodes' is empty\n  try: nodes: [gpu01, gpu02]"),
        (
            "{type: ssh, nodes: a}",
            "1:36: 'compute_target.nodes' must be a list, found text 'a'\n  try: nodes: [gpu01, gpu02]",
        ),
        ("{type: ssh, nodes: [{name: a}]}", "1:37: a node needs an 'address'\n  try: {address: 10.0.0.5, name: gpu01}"),
        (
            "{type: ssh, nodes: [a, a]}",
            "1:40: two nodes are called 'a'\n  try: every node needs a name and an address of its own",
        ),
        (
            "{type: ssh, nodes: [a, {address: a, name: b}]}",
            "1:40: two nodes have the address a\n  try: every node needs a name and an address of its own",
        ),
        ("{type: ssh, nodes: ['a b']}", "1:37: 'a b' cannot be an address"),
        ("{type: ssh, nodes: [-oProxyCommand=x]}", "1:37: '-oProxyCommand=x' cannot be an address"),
        (
            "{type: ssh, nodes: ['fe80::1']}",
            "1:37: node name 'fe80::1' cannot stand in the name of a log\n"
            "  try: give the node a name of letters, digits, '.', '_', '-': {address: ..., name: gpu01}",
        ),
        ("{type: ssh, nodes: ['a[2-1]']}", "1:37: the range 2-1 in 'a[2-1]' runs backwards"),
        (
            "{type: ssh, nodes: [a], ssh_port: 70000}",
            "1:51: 'compute_target.ssh_port' must be at most 65535, found 70000",
        ),
        (
            "{type: ssh, nodes: [a], private_key_file: none}",
            "1:59: there is no private key PROJECT/none\n"
            "  try: leave private_key_file out to use the agent and ~/.ssh/config",
        ),
        (
            "{type: ssh, nodes: [a], host_key_policy: off}",
            "1:58: 'compute_target.host_key_policy' must be text, found a truth value off\n  try: \"off\"",
        ),
        (
            "{type: ssh, nodes: [a], host_key_policy: never}",
            "1:58: 'compute_target.host_key_policy' must be one of strict, accept-new, found text 'never'",
        ),
        (
            "{type: ssh, nodes: [a], work_directory: tmp}",
            "1:57: 'compute_target.work_directory' must be a path on the node that begins with '/' or '~/', "
            "found text 'tmp'",
        ),
    ],
)
def test_a_wrong_target_is_refused(project: Any, target: str, message: str) -> None:
    """With its place and what is allowed."""
    assert project.refusal(f"compute_target: {target}\nscript: train.py\n") == f"PROJECT/digits.yml:{message}"
