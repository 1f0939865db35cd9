"""Files and folders that their owner may not read: the run ends, and says what it could not do with them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from sidecar import tree
from tests.faults.invariants import checked
from tests.faults.lab import Lab, Victim


def run_plainly(lab: Lab, plainly: list[str], source: str) -> Victim:
    """A run of `source` under a controller that obeys the rights of files, at its end."""
    victim = lab.create(source)
    assert lab.popen("controller", victim.run_id, prefix=plainly).wait(timeout=60) == 0
    return victim


def manifest_of(victim: Victim) -> dict[str, dict[str, Any]]:
    """The entries of the run's manifest, by path."""
    return {entry["path"]: entry for entry in json.loads(victim.run.manifest.read_bytes())["files"]}


def test_an_output_that_may_not_be_read(lab: Lab, plainly: list[str]) -> None:
    """The run is complete but for this file, and manifest and record say why."""
    source = (
        "import os\nfor place in ('outputs', 'logs'):\n open(place + '/x', 'w').write('1'); os.chmod(place + '/x', 0)"
    )
    victim = run_plainly(lab, plainly, source)
    assert victim.record.status == "Completed"
    for path in ("outputs/x", "logs/x"):
        entry = manifest_of(victim)[path]
        assert (entry["size_bytes"], entry["sha256"], entry["is_complete"]) == (1, None, False)
        assert f"{path}: cannot be read: Permission denied" in victim.record.warnings


_CLOSED = """
import os
os.makedirs('outputs/closed/er'); open('outputs/closed/er/f', 'w').write('data')
os.mkdir('outputs/fixed'); open('outputs/fixed/f', 'w').write('data')
os.chmod('outputs/closed/er', 0); os.chmod('outputs/closed', 0); os.chmod('outputs/fixed', 0o555)
os.makedirs('own/closed'); open('own/closed/f', 'w').write('data'); os.chmod('own/closed', 0o400)
os.chmod('outputs', 0); os.chmod('.', 0)
"""


def test_folders_that_may_not_be_entered(lab: Lab, plainly: list[str]) -> None:
    """The script is gone, so its folders are opened: all is collected, and nothing stays behind."""
    victim = run_plainly(lab, plainly, _CLOSED)
    record = checked(victim, started=1)
    assert record.warnings == ()
    for name in ("closed/er/f", "fixed/f"):
        assert (victim.run.outputs / name).read_text() == "data"


_DEEP = """
import os
open('outputs/flat', 'w').write('data')
os.chdir('outputs')
for _ in range(20): os.mkdir('d' * 250); os.chdir('d' * 250)
open('precious', 'w').write('data')
"""


def test_a_path_that_is_too_long(lab: Lab) -> None:
    """What cannot be collected is not removed either: the run says so, and where it is."""
    victim = lab.submit(_DEEP)
    victim.wait_end()
    record = victim.record
    work = victim.node().work
    assert record.status == "Completed"
    assert (victim.run.outputs / "flat").read_text() == "data"
    assert len(record.warnings) == 1
    assert "File name too long could not be collected" in record.warnings[0]
    assert record.warnings[0].endswith(f"kept in {work}")
    assert _is_below(work / "outputs", "precious")
    assert "Left and removed" not in victim.run.job_post_log(record.nodes[0]).read_text()
    assert tree.remove(str(victim.node().root)) == []


def _is_below(folder: Path, name: str) -> bool:
    """Whether a file of this name is the end of the only way down from `folder`, however long that is."""
    descriptor = os.open(folder, os.O_RDONLY)
    while name not in (names := os.listdir(descriptor)) and any(part.startswith("d") for part in names):
        inner = os.open(next(part for part in names if part.startswith("d")), os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)
    return name in names
