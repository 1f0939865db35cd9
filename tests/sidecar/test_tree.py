"""Walking and removing folders: in order, through closed doors, and honest about the rest."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sidecar import tree

_PLAIN = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"]
_MAKE = """
import os, sys
for name in ("a/b/c", "a/ro", "z"): os.makedirs(name); open(name + "/f", "w")
os.chmod("a/b/c", 0); os.chmod("a/b", 0o400); os.chmod("a/ro", 0o555); os.chmod("a", 0)
"""


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """It is walked without a word, and there is nothing to remove."""
    told: list[str] = []
    assert list(tree.walk(str(tmp_path / "none"), lambda path, _: told.append(path), may_open=True)) == []
    assert (told, tree.remove(str(tmp_path / "none"))) == ([], [])


def test_files_come_before_what_is_below(tmp_path: Path) -> None:
    """A folder's own files first, by name; links are given and not entered."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a/f").touch()
    (tmp_path / "z").touch()
    os.symlink("a", tmp_path / "link")
    found = [path for path, _ in tree.walk(str(tmp_path), lambda *_: None, may_open=False)]
    assert found == ["link", "z", "a/f"]


@pytest.mark.parametrize("act", ["walk", "remove"])
def test_closed_folders(tmp_path: Path, act: str) -> None:
    """Who owns a folder gets in, and gets it away."""
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("root ignores rights of folders, and setpriv, which could change that, is not installed")
    source = f"{_MAKE}\nfrom sidecar import tree\n"
    source += (
        "print([path for path, _ in tree.walk('.', print, may_open=True)])"
        if act == "walk"
        else "print(tree.remove(os.getcwd() + '/a'), os.listdir())"
    )
    prefix = _PLAIN if os.geteuid() == 0 else []
    environ = {**os.environ, "PYTHONPATH": str(Path(tree.__file__).parents[1])}
    done = subprocess.run(
        [*prefix, sys.executable, "-c", source], cwd=tmp_path, env=environ, capture_output=True, text=True
    )
    wanted = "['a/b/c/f', 'a/ro/f', 'z/f']" if act == "walk" else "[] ['z']"
    assert (done.stdout.strip(), done.stderr) == (wanted, "")
