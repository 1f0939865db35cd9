"""A machine over SSH in v1's way (case 7 of azureml-v1.md 7.5)."""

from __future__ import annotations

import pytest

from tests.lab.laboratory import Laboratory
from tests.lab.users import GUEST_PASSWORD
from tests.unmodified.conftest import Project


@pytest.mark.lab(hosts=1)
@pytest.mark.timeout(240)
@pytest.mark.case("remote_vm")
def test_a_machine_with_a_key_and_one_with_a_password(project: Project, lab: Laboratory) -> None:
    """A run and a sweep there; logs, metrics and files are here, the password is nowhere."""
    (host,) = lab
    printed = project.run("submit.py", **lab.submitter.environment(ADDRESS=host.address, PASSWORD=GUEST_PASSWORD))
    assert "trained on" in printed and "metrics {'alpha': 0.4, 'mse': 0.0} model remote:1" in printed
    assert "best 0.3 by-password" in printed
    kept = [path for path in project.workspace.root.rglob("*") if path.is_file()]
    assert kept and not any(GUEST_PASSWORD.encode() in path.read_bytes() for path in kept)
