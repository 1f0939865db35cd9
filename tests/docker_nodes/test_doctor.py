"""What `runner doctor` says of the engines of hosts, and what a run meets that did not ask it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.docker_nodes.stage import NodesStage

pytestmark = [pytest.mark.docker, pytest.mark.lab, pytest.mark.timeout(600)]
_SOCKET = "/run/docker.sock"


@pytest.fixture
def forbidden(stage: NodesStage) -> Iterator[NodesStage]:
    """The engine of the first host is not for user lab."""
    stage.lab[0].run("chmod", "600", _SOCKET)
    yield stage
    stage.lab[0].run("chmod", "660", _SOCKET)


def _engines(stage: NodesStage) -> list[dict[str, Any]]:
    """What is said of the engine of each host."""
    return [node["findings"]["docker"] for node in stage.json("doctor", "lab", "-o", "json")["nodes"]]


def test_doctor_and_a_run_name_the_missing_permission(forbidden: NodesStage) -> None:
    """The version where the engine answers; where the socket is not the user's, that, and what to do about it."""
    first, second = _engines(forbidden)
    assert (first["level"], second["level"]) == ("warn", "ok")
    assert "at /var/run/docker.sock" in second["detail"]
    assert "no permission on the Docker engine's socket" in first["detail"]
    assert "usermod" in first["hint"]
    record = forbidden.run_to_end(forbidden.config("print(1)"))
    assert record["exit_code"] == 3, forbidden.explain(record)
    assert "no permission on the Docker engine's socket" in record["failure"]["summary"]
    forbidden.expect_nothing_left()
