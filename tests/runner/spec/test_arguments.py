"""An argument reaches the script as the file writes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.errors import ConfigError
from runner.spec.config_file import read_request

_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)))


_PLAIN = ["1e-3", "1.50", "true", "False", "yes", "010", "0x1F", "0o17", "1_000", "null", "~", "2020-01-01", ".inf"]
_PLAIN += ["-x", "--lr=0.1", "$HOME", "12:30:45", "+1", "=", "caf\u00e9", "-1", "<<"]


@pytest.mark.parametrize(
    "written",
    _PLAIN,
)
def test_a_plain_scalar_stays_as_written(read_arguments: Callable[[str], tuple[str, ...]], written: str) -> None:
    """YAML's idea of a type changes no letter."""
    assert read_arguments(f"[{written}]") == (written,)
    assert read_arguments(f"\n  - {written}   # why") == (written,)


@pytest.mark.parametrize(
    ("written", "argument"),
    [
        ('""', ""),
        ("''", ""),
        ('"a\\nb\\t\\u00e9"', "a\nb\t\u00e9"),
        ("'it''s'", "it's"),
        ('"  padded  "', "  padded  "),
        ("|\n    one\n    two\n", "one\ntwo\n"),
        ("|-\n    one\n     two\n", "one\n two"),
        (">-\n    one\n    two\n", "one two"),
        ("!!str 010", "010"),
        ('"--"', "--"),
        ("'{\"a\": [1]}'", '{"a": [1]}'),
    ],
)
def test_a_quoted_scalar_is_its_string(
    read_arguments: Callable[[str], tuple[str, ...]], written: str, argument: str
) -> None:
    """Quotes and blocks give the exact string."""
    assert read_arguments(f"\n  - {written}\n") == (argument,)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(arguments=st.lists(_TEXT, max_size=6))
def test_any_text_survives_yaml(tmp_path: Path, arguments: list[str]) -> None:
    """Whatever a YAML writer makes of a list of texts, the same texts come out."""
    (tmp_path / "train.py").touch()
    path = tmp_path / "a.yml"
    path.write_text(yaml.safe_dump({"script": "train.py", "arguments": arguments}), encoding="utf-8")
    assert read_request(path).arguments == tuple(arguments)


def test_long_arguments_pass_up_to_what_the_kernel_takes(project: Any) -> None:
    """100,000 characters pass, 128 KiB do not: execve would refuse them on the node."""
    text = "script: train.py\narguments: ['{}']\n"
    assert len(project.read(text.format("x" * 100_000)).arguments[0]) == 100_000
    assert len(project.read(text.format("x" * 131_071)).arguments[0]) == 131_071
    assert project.refusal(text.format("x" * 131_072)).startswith(
        "PROJECT/digits.yml:2:13: arguments[0] is 131072 bytes long; Linux gives a process at most 131071 in one piece"
    )


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("[a, [b]]", "2:16: 'arguments[1]' must be text, a number or a truth value, found a list"),
        ("[{a: 1}]", "2:13: 'arguments[0]' must be text, a number or a truth value, found a mapping"),
        ("--epochs", "2:12: 'arguments' must be a list, found text '--epochs'\n  try: arguments: [--epochs]"),
        ("{a: 1}", "2:12: 'arguments' must be a list, found a mapping"),
        ('["a\\0b"]', "2:13: arguments[0] has a NUL character in it; no process can be given one"),
        ("\n  - a\n  -\n", '4:4: arguments[1] is nothing\n  try: "" for an empty argument'),
    ],
)
def test_what_is_no_argument_is_refused(project: Any, written: str, message: str) -> None:
    """The item is named by its number and its place."""
    assert project.refusal(f"script: train.py\narguments: {written}\n") == f"PROJECT/digits.yml:{message}"


def test_extra_arguments_come_last(project: Any) -> None:
    """What stands behind `--` is appended, as it is."""
    request = project.read("script: train.py\narguments: [a]\n", extra=("--lr", "1 2", ""))
    assert request.arguments == ("a", "--lr", "1 2", "")


def test_a_bad_extra_argument_is_blamed_on_the_command_line(project: Any) -> None:
    """The message does not point into the file."""
    with pytest.raises(ConfigError, match=r"arguments after --: arguments\[0\] is 200000 bytes long"):
        project.read("script: train.py\n", extra=("x" * 200_000,))
