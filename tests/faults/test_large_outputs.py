"""Outputs that take longer to hash than anybody wants to wait."""

from __future__ import annotations

import json

from tests.faults.lab import Lab, wait_until


def test_a_cancel_while_a_terabyte_is_hashed(lab: Lab) -> None:
    """Status says how far it is, and cancel brings the end: the file is there, without a sha256."""
    victim = lab.submit("open('outputs/large', 'wb').truncate(1 << 40); open('outputs/small', 'w').write('x')")
    wait_until(victim.run.sealing.exists, limit_s=60, what="the sealing of the files")
    assert "of 1024.0 GiB are hashed" in lab.command("status", victim.run_id).stdout
    record = victim.cancel()
    assert record.status == "Completed"
    files = {entry["path"]: entry for entry in json.loads(victim.run.manifest.read_bytes())["files"]}
    assert (files["outputs/large"]["sha256"], files["outputs/large"]["is_complete"]) == (None, False)
    assert files["outputs/small"]["is_complete"]
    assert [warning.split(":")[0] for warning in record.warnings] == ["outputs/large"]
    assert not victim.run.sealing.exists()
