"""The manifest: whole where it can be, honest where it cannot."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from runner.history.manifest import Patience, seal
from runner.history.seal_progress import Progress, read_progress
from sidecar.contract.layout import RunLayout

NEVER = Patience(lambda: False)


def entries(run: RunLayout) -> dict[str, dict[str, Any]]:
    """What the manifest says, by path."""
    return {entry["path"]: entry for entry in json.loads(run.manifest.read_bytes())["files"]}


def test_a_file_that_should_be_there_and_is_not(tmp_path: Path) -> None:
    """It has an entry that is not complete, as has one that is there but not whole."""
    run = RunLayout(tmp_path)
    (tmp_path / "half").write_text("x")
    assert seal(run, incomplete={"half": "cut off", "gone": "removed"}, patience=NEVER) == ()
    found = entries(run)
    assert (found["half"]["is_complete"], found["half"]["why"], found["half"]["size_bytes"]) == (False, "cut off", 1)
    assert found["gone"] == {"path": "gone", "size_bytes": 0, "sha256": None, "is_complete": False, "why": "removed"}


def test_a_terabyte_is_not_waited_for_once_the_end_is_wanted(tmp_path: Path) -> None:
    """A file that takes an hour to hash is named without sha256, the others have theirs."""
    run = RunLayout(tmp_path)
    for name, size in (("small", 10), ("large", 1 << 40)):
        with open(tmp_path / name, "wb") as stream:
            stream.truncate(size)
    wanted = threading.Event()
    wanted.set()
    problems = seal(run, incomplete={}, patience=Patience(wanted.is_set, limit_s=0.2))
    found = entries(run)
    assert found["small"]["is_complete"] and found["small"]["sha256"]
    assert (found["large"]["is_complete"], found["large"]["sha256"], found["large"]["size_bytes"]) == (
        False,
        None,
        1 << 40,
    )
    assert len(problems) == 1 and problems[0].startswith("large: ")


def test_progress_is_told(tmp_path: Path) -> None:
    """Whoever waits reads how many bytes are hashed, and nothing before and after."""
    run = RunLayout(tmp_path)
    run.state.mkdir()
    progress = Progress(run, total_bytes=4 << 30)
    assert read_progress(run) is None
    progress.add(1 << 30)
    progress.tell()
    assert read_progress(run) == "sealing the run's files: 1.0 of 4.0 GiB are hashed"
    progress.end()
    assert read_progress(run) is None
