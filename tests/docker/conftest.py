"""One engine for all tests in here, with its images, and a look at what each test leaves on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from tests.docker import images
from tests.docker.engine import Engine, running_engine
from tests.docker.stage import DockerStage


class GivenEngine:
    """An engine that runs already, another maker's perhaps: $SCRIPTRUN_DOCKER_HOST."""

    def __init__(self, address: str) -> None:
        self.address = address

    def client(self) -> docker.APIClient:
        """A client of its own."""
        return docker.APIClient(base_url=self.address, version="auto", timeout=60)


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine | GivenEngine]:
    """The engine of the tests."""
    given = os.environ.get("SCRIPTRUN_DOCKER_HOST")
    if given:
        yield GivenEngine(given)
        return
    with running_engine() as found:
        yield found


@pytest.fixture(scope="session")
def client(engine: Engine) -> Iterator[docker.APIClient]:
    """Asks the engine what it has."""
    found = engine.client()
    yield found
    found.close()


@pytest.fixture(scope="session")
def image(engine: Engine) -> Callable[[str], str]:
    """Has a base image, made when it is first asked for; its name."""
    there: set[str] = set()

    def have(name: str) -> str:
        if name not in there:
            images.import_image(engine, name)
            there.add(name)
        return name

    return have


@pytest.fixture
def stage(
    tmp_path: Path, engine: Engine, client: docker.APIClient, image: Callable[[str], str]
) -> Iterator[DockerStage]:
    """Types `runner` against the engine; at the end nothing of ours may be left on it but named images."""
    image(images.PYTHON_39)
    found = DockerStage(tmp_path, engine.address, client)
    yield found
    found.expect_nothing_left()
