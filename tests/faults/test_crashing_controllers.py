"""A controller that ends by an error of its own: whoever waits is told, and can go on once the cause is gone."""

from __future__ import annotations

import re

import pytest

from tests.faults.invariants import checked
from tests.faults.lab import Lab


@pytest.mark.parametrize(("command", "status"), [("attach", "Completed"), ("cancel", "Canceled")])
def test_controllers_that_crash_one_after_the_other(lab: Lab, command: str, status: str) -> None:
    """Attach and cancel give up with the cause, status names it, and without the cause the run ends as it should."""
    victim = lab.create("print('hello')\n")
    victim.run.closing.mkdir()
    done = lab.command(command, victim.run_id)
    assert done.returncode == 3
    assert f"IsADirectoryError: [Errno 21] Is a directory: '{victim.run.closing}'" in done.stderr
    lab.command(command, victim.run_id)
    told = lab.command("status", victim.run_id).stdout
    assert re.search(r"warning +the run's controller failed \d+ times in NotStarted: IsADirectoryError", told)
    victim.run.closing.rmdir()
    lab.command(command, victim.run_id)
    checked(victim, status)


def test_a_run_that_no_controller_can_end(lab: Lab) -> None:
    """Abandoning ends it as it is, says so, and leaves a record that can be listed."""
    victim = lab.create("print('hello')\n")
    victim.run.closing.mkdir()
    assert "cancel" in lab.command("cancel", victim.run_id).stderr
    done = lab.command("cancel", victim.run_id, "--abandon")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, f"{victim.run_id}: Canceled"), done
    assert "ended without its controller, and without asking its nodes" in lab.command("status", victim.run_id).stdout
    assert victim.run_id in lab.command("history", "list").stdout
