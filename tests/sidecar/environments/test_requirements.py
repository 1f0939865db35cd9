"""What makes two sets of requirements the same environment, and what an installer is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.environments import requirements
from sidecar.environments.failure import BuildFailed


def test_comments_and_blank_lines_do_not_count() -> None:
    """Only what is installed decides; its order does, too."""
    plain = requirements.read("a==1\nb>=2 ; python_version > '3'\n", None)
    noisy = requirements.read("\ufeff# why\n\na==1  # because\r\nb>=2 ; \\\npython_version > '3'\n\n", None)
    assert plain == noisy
    assert plain.identity != requirements.read("b>=2 ; python_version > '3'\na==1\n", None).identity


def test_a_hash_in_a_url_is_no_comment() -> None:
    """A fragment stays; a comment needs a space in front."""
    line = "x @ https://example.org/x.whl#sha256=00"
    assert requirements.read(line, None).lines == (line,)


@pytest.mark.parametrize("option", ["-r ", "-r", "--requirement ", "--requirement=", "-c ", "--constraint="])
def test_an_included_file_counts_with_its_content(tmp_path: Path, option: str) -> None:
    """A changed line in an included file is another environment; the installer gets the absolute path."""
    (tmp_path / "base.txt").write_text("a==1\n")
    first = requirements.read(f"{option}base.txt", str(tmp_path))
    (tmp_path / "base.txt").write_text("# a comment\na==1\n")
    assert requirements.read(f"{option}base.txt", str(tmp_path)).identity == first.identity
    (tmp_path / "base.txt").write_text("a==2\n")
    assert requirements.read(f"{option}base.txt", str(tmp_path)).identity != first.identity
    assert first.lines[0].endswith(f" {tmp_path}/base.txt")


def test_files_that_include_each_other_are_read_once(tmp_path: Path) -> None:
    """A loop ends; a path in an included file is relative to that file."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.txt").write_text("-r b.txt\n")
    (tmp_path / "sub" / "b.txt").write_text("-r a.txt\nx==1\n")
    assert "x==1" in requirements.read("-r sub/a.txt", str(tmp_path)).identity


@pytest.mark.parametrize(
    "line",
    ["./pkg", "pkg/", "./pkg[extra] ; python_version > '3'", "-e ./pkg", "--editable=./pkg", "pkg @ file://{}/pkg"],
)
def test_a_local_project_counts_with_its_content(tmp_path: Path, line: str) -> None:
    """A changed source file is another environment; what a build leaves behind is not."""
    line = line.format(tmp_path)
    (tmp_path / "pkg" / "pkg.egg-info").mkdir(parents=True)
    (tmp_path / "pkg" / "mod.py").write_text("1")
    first = requirements.read(line, str(tmp_path))
    (tmp_path / "pkg" / "pkg.egg-info" / "PKG-INFO").write_text("built")
    assert requirements.read(line, str(tmp_path)) == first
    (tmp_path / "pkg" / "mod.py").write_text("2")
    assert requirements.read(line, str(tmp_path)).identity != first.identity
    assert f"{tmp_path}/pkg" in first.lines[0]


def test_an_editable_project_elsewhere_is_another_environment(tmp_path: Path) -> None:
    """It is used where it lies; an installed copy is the same wherever it came from."""
    for folder in ("one", "two"):
        (tmp_path / folder / "pkg").mkdir(parents=True)
    one, two = (requirements.read("-e ./pkg", str(tmp_path / folder)).identity for folder in ("one", "two"))
    assert one != two
    one, two = (requirements.read("./pkg", str(tmp_path / folder)).identity for folder in ("one", "two"))
    assert one == two


@pytest.mark.parametrize("line", ["-r none.txt", "./none", "-e .//none", "none-1.0-py3-none-any.whl"])
def test_what_is_not_there_is_named(tmp_path: Path, line: str) -> None:
    """The line and the place are in the message, before anything is built."""
    with pytest.raises(BuildFailed, match="none") as caught:
        requirements.read(line, str(tmp_path))
    assert "No such file" in str(caught.value)


def test_a_relative_path_in_a_list_is_refused() -> None:
    """A list has no folder, so a relative path in it means nothing."""
    with pytest.raises(BuildFailed, match="no folder"):
        requirements.read("./pkg", None)


def test_passwords_are_not_shown() -> None:
    """The installer needs the password of an index; a log does not."""
    found = requirements.read("--index-url https://me:secret@example.org/simple\na==1", None)
    assert "secret" in found.lines[0]
    assert "secret" not in "".join(found.shown)


@pytest.mark.parametrize(
    "line", ["a", "a[x]==1", "git+https://h/p@v1", "--no-index", "-i https://h/p", "a>=1;extra=='x/y'"]
)
def test_other_lines_are_left_alone(line: str) -> None:
    """Names, remote addresses and options go through as they are."""
    assert requirements.read(line, "/srv").lines == (line,)
