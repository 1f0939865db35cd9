"""The containers of a run, without an engine that would make any."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runner.containers.crew import Crew
from runner.containers.engine import open_engine
from runner.errors import MachineError
from tests.doubles.engine_that_hangs_up import EngineThatHangsUp


@pytest.fixture
def engine() -> Iterator[EngineThatHangsUp]:
    """In a folder with a short name: a socket's path has a limit."""
    with tempfile.TemporaryDirectory() as folder:
        found = EngineThatHangsUp(Path(folder))
        yield found
        found.close()


def test_an_engine_that_goes_away_is_an_error_of_the_machine(engine: EngineThatHangsUp) -> None:
    """While the containers are removed, too: whoever removes them asks again later, and goes on."""
    client = open_engine({"DOCKER_HOST": engine.address})
    berth: Any = SimpleNamespace(plan=SimpleNamespace(run_id="run_1_0a", node_id="local-0"))
    with pytest.raises(MachineError, match="the container left-behind cannot be removed"):
        Crew(client, engine.address, "/workspace", [berth]).clear()
    client.close()
