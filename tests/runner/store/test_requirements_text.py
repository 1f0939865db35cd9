"""A requirements file reaches other machines whole, or is refused where it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.errors import ConfigError
from runner.store.requirements_text import read_for_other_machines


def test_included_files_are_put_in_their_places(tmp_path: Path) -> None:
    """`-r` in each of its spellings, from the folder of the file that says it."""
    (tmp_path / "more").mkdir()
    (tmp_path / "requirements.txt").write_text("numpy\n-r more/a.txt  # first\n--requirement=more/b.txt\nscipy\n")
    (tmp_path / "more/a.txt").write_text("a==1\n-rc.txt")
    (tmp_path / "more/b.txt").write_text("b==1\n")
    (tmp_path / "more/c.txt").write_text("c==1\n")
    text = read_for_other_machines(tmp_path / "requirements.txt")
    assert text.split() == ["numpy", "a==1", "c==1", "b==1", "scipy"]


@pytest.mark.parametrize("line", ["./tiny-1.0-py3-none-any.whl", "-e ../package", "-f ./wheels", "file:///opt/x.whl"])
def test_a_path_of_this_machine_is_refused(tmp_path: Path, line: str) -> None:
    """With file, line and column, and what to do instead."""
    path = tmp_path / "requirements.txt"
    path.write_text(f"numpy\n{line}\n")
    with pytest.raises(ConfigError, match="which the nodes of an SSH target do not have") as raised:
        read_for_other_machines(path)
    assert f"{path}:2:" in str(raised.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """Also one that another file includes."""
    (tmp_path / "requirements.txt").write_text("-r gone.txt\n")
    with pytest.raises(ConfigError, match=r"gone\.txt"):
        read_for_other_machines(tmp_path / "requirements.txt")
