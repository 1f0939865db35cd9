"""A log whose name is taken away from it while its process writes: every byte is in its place at the end."""

from __future__ import annotations

import json
import os

import pytest

from tests.faults.invariants import checked
from tests.faults.lab import Lab

# What is done to the log's path, and what is left of that beside it.
_DEEDS = {
    "removed": ("os.unlink(log)", None),
    "renamed": ("os.rename(log, log + '.old')", None),
    "a link": ("os.unlink(log); os.symlink('/etc/passwd', log)", "/etc/passwd"),
    "a folder": ("os.unlink(log); os.mkdir(log)", "a folder"),
    "a pipe": ("os.unlink(log); os.mkfifo(log)", "a pipe"),
    "another file": ("open(log + '.new', 'w').write('other'); os.replace(log + '.new', log)", "other"),
}


@pytest.mark.parametrize("kind", _DEEDS)
def test_a_log_is_put_back(lab: Lab, kind: str) -> None:
    """Whoever took its name, the log is whole, the run says what happened, and what stood there lies beside it."""
    deed, left = _DEEDS[kind]
    source = (
        f"import os\nfrom said import say\nlog = os.path.realpath('/proc/self/fd/1')\nsay(b'one')\n{deed}\nsay(b'two')"
    )
    victim = lab.submit(source)
    victim.wait_end(resumes=False)
    record = checked(victim, started=1)
    log = victim.run.driver_log(None)
    assert log.read_bytes() == b"onetwo"
    aside = log.with_name(f"{log.name}.g1")
    assert os.path.lexists(aside) == (left is not None)
    assert [log.name in warning for warning in record.warnings] == [True]
    if left is not None:
        assert aside.name in record.warnings[0]
    if left == "other":
        assert aside.read_text() == "other"


def test_a_log_that_is_removed_after_its_process_ended(lab: Lab) -> None:
    """Its bytes are gone: the manifest has an entry that is not complete, and the run a warning."""
    source = """import os, time
log = os.path.realpath('/proc/self/fd/1')
if os.fork() == 0:  # Lives until it is stopped as a process that was left behind.
    while not os.path.exists(os.environ['RUNNER_NODE_ROOT'] + '/processes/main/exit.json'): time.sleep(0.01)
    os.unlink(log)
"""
    victim = lab.submit(source)
    victim.wait_end(resumes=False)
    path = str(victim.run.driver_log(None).relative_to(victim.run.root))
    entry = next(entry for entry in json.loads(victim.run.manifest.read_bytes())["files"] if entry["path"] == path)
    assert (entry["is_complete"], entry["why"]) == (False, "the log was removed after its process had ended")
    assert victim.record.warnings == (f"{path}: {entry['why']}",)
