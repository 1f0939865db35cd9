"""`--set key=value` lays a value over the file, and is named in every complaint about it."""

from __future__ import annotations

from typing import Any

import pytest

from runner.spec.request import MpiSpec

_FILE = """
script: train.py
arguments: [a]
environment: {python: {interpreter_path: python3.9}}
tags: {team: vision}
"""


def test_values_are_laid_over_the_file(project: Any) -> None:
    """Dotted keys reach into mappings, new ones are made, the last one wins."""
    request = project.read(
        _FILE,
        "environment.python.interpreter_path=python3",
        "arguments=[--lr, 1e-3, 'x y']",
        "tags.team=x",
        "tags.model.size=7b",
        "environment.environmentVariables.A=010",
        "distributed_job_config={type: Mpi, node_count: 2}",
        "distributedJobConfig.node_count=3",
        "max_run_duration_seconds=60",
        "experiment_name=a",
        "experiment_name=b",
    )
    assert request.environment.interpreter_path == "python3"
    assert request.arguments == ("--lr", "1e-3", "x y")
    assert request.tags == {"team": "x", "model.size": "7b"}
    assert request.environment.environment_variables == {"A": "010"}
    assert request.distributed == MpiSpec(node_count=3)
    assert (request.max_run_duration_seconds, request.experiment_name) == (60, "b")


def test_two_names_of_one_key_are_one(project: Any) -> None:
    """`target` and `compute_target`, camelCase and snake_case."""
    text = "script: train.py\ntarget: nowhere\nexperimentName: a\n"
    request = project.read(text, "compute_target=local", "experiment_name=b")
    assert (request.compute_target.name, request.experiment_name) == ("local", "b")


def test_nothing_takes_a_value_away(project: Any) -> None:
    """So a script can be exchanged for a command."""
    request = project.read(_FILE, "script=null", "arguments=", "command=echo a=b")
    assert (request.script, request.command) == (None, "echo a=b")


def test_a_text_keeps_its_letters(project: Any) -> None:
    """Tags take the source text, an empty one too."""
    assert project.read(_FILE, "tags.a=", "tags.b=1_0", "tags.c=a=b").tags == {
        "team": "vision",
        "a": "",
        "b": "1_0",
        "c": "a=b",
    }


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("x", "expected key=value\n  try: --set x=VALUE"),
        ("=x", "the key before '=' has an empty part\n  try: --set environment.name=digits"),
        ("a..b=x", "the key before '=' has an empty part\n  try: --set environment.name=digits"),
        (
            "environment.pyton.interpreter_path=x",
            "unknown key 'pyton' in 'environment'; did you mean 'python'?\n"
            "  try: one of name, python, docker, environment_variables",
        ),
        (
            "script.name=x",
            "'script' is text 'train.py' at PROJECT/digits.yml:2:9, not a mapping\n"
            "  try: set it as a whole: --set 'script={...}'",
        ),
        ("arguments=--x", "'arguments' must be a list, found text '--x'\n  try: arguments: [--x]"),
        (
            "arguments=[a",
            "not valid YAML: did not find expected ',' or ']' (while parsing a flow sequence, which starts at "
            "--set arguments=[a)\n  try: the value is read as YAML: put quotes inside the shell's quotes, "
            "--set 'key=\"value\"'",
        ),
        ("node_count=two", "'node_count' must be a whole number from 1, found text 'two'"),
        (
            "compute_target=gpu",
            "there is no compute target 'gpu'\n  try: one of local (compute files lie in PROJECT/compute)",
        ),
    ],
)
def test_a_wrong_override_is_named(project: Any, override: str, message: str) -> None:
    """The option takes the place of file, line and column."""
    assert project.refusal(_FILE, override) == f"--set {override}: {message}"


def test_a_value_from_the_file_is_still_blamed_on_the_file(project: Any) -> None:
    """Setting a neighbour does not move it."""
    text = "script: train.py\ndistributed_job_config: {type: Mpi, node_count: two}\n"
    message = project.refusal(text, "distributed_job_config.process_count_per_node=2")
    assert message.startswith("PROJECT/digits.yml:2:49: ")
