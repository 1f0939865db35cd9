"""One YAML document becomes a tree with places; what no config can mean is refused with its place."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from runner.errors import ConfigError
from runner.spec.document import SIZE_LIMIT_BYTES, VALUE_LIMIT, read_document
from runner.spec.tree import Kind, ListValue, MapValue, Scalar


def _refusal(tmp_path: Path, content: bytes) -> str:
    path = tmp_path / "a.yml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_document(path)
    return str(caught.value).replace(str(tmp_path) + "/", "")


def _read(tmp_path: Path, text: str) -> MapValue:
    path = tmp_path / "a.yml"
    path.write_text(text)
    return read_document(path)


def test_values_remember_where_they_stand(tmp_path: Path) -> None:
    """Lines and columns count from 1, in characters, for keys and for values."""
    tree = _read(tmp_path, "é: {x: 1,\n  y: 2}\n")
    inner = tree.entries[0].value
    assert isinstance(inner, MapValue)
    assert (inner.place.line, inner.place.column) == (1, 4)
    assert (inner.entries[1].place.line, inner.entries[1].place.column) == (2, 3)
    assert str(inner.entries[1].value.place).endswith("a.yml:2:6")


@pytest.mark.parametrize("text", ["1e-3", "010", "true", "null", "2020-01-01", "0x1F", "1_000", "~", "12:30"])
def test_a_plain_scalar_keeps_its_source_text(tmp_path: Path, text: str) -> None:
    """What YAML would make a number, a date or nothing is still what was written."""
    value = _read(tmp_path, f"a: {text} # a comment\n").get("a")
    assert isinstance(value, Scalar)
    assert value.text == text


def test_a_quoted_scalar_is_text(tmp_path: Path) -> None:
    """Quotes make text of anything."""
    value = _read(tmp_path, 'a: "010"\n').get("a")
    assert isinstance(value, Scalar)
    assert value.kind is Kind.TEXT


def test_an_alias_stands_for_what_it_names(tmp_path: Path) -> None:
    """Anchors and merge keys work as YAML says; a key that is there is not replaced."""
    tree = _read(tmp_path, "a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\nc: *a\n")
    merged = tree.get("b")
    assert isinstance(merged, MapValue)
    assert {entry.key: entry.value.text for entry in merged if isinstance(entry.value, Scalar)} == {"x": "3", "y": "2"}
    assert tree.get("c") is tree.get("a")


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    """Files saved by Windows editors are read."""
    (tmp_path / "a.yml").write_bytes(b"\xef\xbb\xbfscript: a.py\r\n")
    assert read_document(tmp_path / "a.yml").entries[0].key == "script"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a.yml: is empty; expected 'key: value' lines\n  try: script: train.py"),
        (b"# nothing\n---\n", "a.yml: is empty; expected 'key: value' lines\n  try: script: train.py"),
        (b"- a\n- b\n", "a.yml:1:1: expected 'key: value' lines at the top, found a list\n  try: script: train.py"),
        (
            b"script\n",
            "a.yml:1:1: expected 'key: value' lines at the top, found text 'script'\n  try: script: train.py",
        ),
        (
            b"a: 1\n---\nb: 2\n",
            "a.yml:2:1: a second document starts here; a config is one document\n  try: remove the '---' line",
        ),
        (b"a: 1\nb: 2\na: 3\n", "a.yml:3:1: the key 'a' is here twice; first at a.yml:1:1"),
        (b"a: 1\nb: caf\xe9\n", "a.yml:2:7: byte 0xe9 at offset 11 is not UTF-8\n  try: save the file as UTF-8"),
        ("a: 1\n".encode("utf-16"), "a.yml:1:1: byte 0xff at offset 0 is not UTF-8\n  try: save the file as UTF-8"),
        (b"a:\n\tb: 1\n", "a.yml:2:1: a tab cannot indent YAML\n  try: use spaces"),
        (b"a: b: c\n", "a.yml:1:5: a second ': ' on this line\n  try: put quotes around text that has ': ' in it"),
        (b"a: @x\n", "a.yml:1:4: a value cannot start with this character\n  try: put quotes around the text"),
        (
            b"a: [1,\n 2\n",
            "a.yml:3:1: not valid YAML: did not find expected ',' or ']' (while parsing a flow sequence, "
            "which starts at a.yml:1:4)\n  try: quote text that has special characters",
        ),
        (b"a: &x [*x]\n", "a.yml:1:8: *x refers to the value that it is part of"),
        (b"a: *x\n", "a.yml:1:4: *x refers to an anchor &x that is not above\n  try: quote text that has a '*'"),
        (
            b"a: !!python/object:os.system x\n",
            "a.yml:1:4: the tag !!python/object:os.system has no meaning here\n  try: write the value without a tag",
        ),
        (b"a: !!set {x}\n", "a.yml:1:4: the tag !!set has no meaning here\n  try: remove the tag"),
        (b"? [a]\n: b\n", "a.yml:1:3: expected a key, found a list"),
        (
            b"a: \x00\n",
            "a.yml:1:4: the character U+0000 cannot stand in YAML\n"
            '  try: write it as an escape in double quotes, such as "\\e"',
        ),
    ],
)
def test_a_broken_file_is_refused_in_one_clear_message(tmp_path: Path, content: bytes, message: str) -> None:
    """File, line, column, what is wrong, what to try."""
    assert _refusal(tmp_path, content).replace(f"{tmp_path}/", "") == message


def test_a_file_of_ten_megabytes_is_refused_unread(tmp_path: Path) -> None:
    """The size is told, and nothing is parsed."""
    content = b"a: " + b"x" * (10 * 1024 * 1024)
    began = time.monotonic()
    message = _refusal(tmp_path, content)
    assert time.monotonic() - began < 1
    assert message.startswith(f"a.yml: is {len(content)} bytes large; a config may have at most {SIZE_LIMIT_BYTES}")


def test_deep_nesting_does_not_end_the_process(tmp_path: Path) -> None:
    """A million brackets are one error, not a crash of the C parser."""
    assert "nested deeper than 32" in _refusal(tmp_path, b"a: " + b"[" * 900_000)


def test_an_alias_bomb_is_refused_before_it_grows(tmp_path: Path) -> None:
    """Ten levels of ten aliases would be ten thousand million values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert f"more than {VALUE_LIMIT} values" in _refusal(tmp_path, "\n".join(lines).encode())


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """Missing with the nearest name, a folder, a pipe without a writer, a folder that is not there."""
    (tmp_path / "digits.yml").write_text("script: a\n")
    (tmp_path / "train.py").touch()
    (tmp_path / ".azureml").mkdir()
    (tmp_path / ".azureml" / "mpi.runconfig").touch()
    os.mkfifo(tmp_path / "pipe")
    expected = {
        "digit.yml": "no such file\n  try: {0}/digits.yml",
        "train": "no such file",
        "mpi": "no such file\n  try: {0}/.azureml/mpi.runconfig",
        "mpi.runconfig": "no such file\n  try: {0}/.azureml/mpi.runconfig",
        ".": "is a folder; expected a YAML file",
        "pipe": "is no regular file",
        "none/a.yml": "no such file\n  try: there is no folder {0}/none",
        "digits.yml/a": "cannot be read: Not a directory",
    }
    for name, message in expected.items():
        with pytest.raises(ConfigError) as caught:
            read_document(tmp_path / name)
        assert str(caught.value) == f"{tmp_path / name}: {message.format(tmp_path)}"


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    """The system's reason is told; root, who reads everything, looks as nobody."""
    path = tmp_path / "a.yml"
    path.write_text("script: a\n")
    path.chmod(0)
    user = os.geteuid()
    os.seteuid(user or 65534)
    try:
        with pytest.raises(ConfigError, match="cannot be read: Permission denied"):
            read_document(path)
    finally:
        os.seteuid(user)


def test_a_long_list_is_read_whole(tmp_path: Path) -> None:
    """Many values are no bomb."""
    value = _read(tmp_path, "a: [" + "x," * 90_000 + "]\n").get("a")
    assert isinstance(value, ListValue)
    assert len(value.items) == 90_000
