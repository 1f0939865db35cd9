"""Files and folders that their owner may not read: the run ends, and says what it could not do with them."""

from __future__ import annotations

import json
from typing import Any

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
