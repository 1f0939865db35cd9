"""Two hosts with an engine each, and one here beside them, for all tests in here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docker import images
from tests.docker.engine import Engine, running_engine
from tests.docker_nodes.host_engine import HostEngine, engines_on
from tests.docker_nodes.stage import NodesStage
from tests.lab.laboratory import Laboratory


@pytest.fixture(scope="session")
def hosts() -> Iterator[Laboratory]:
    """The hosts."""
    with Laboratory.start(2) as made:
        yield made


@pytest.fixture(scope="session")
def here() -> Iterator[Engine]:
    """The engine of the submitting machine, with a base image that no registry has."""
    with running_engine(has_own_network=False, in_memory=True) as engine:
        images.import_image(engine, images.PYTHON_39)
        yield engine


@pytest.fixture(scope="session")
def there(hosts: Laboratory) -> Iterator[list[HostEngine]]:
    """The engines of the hosts."""
    with engines_on(list(hosts)) as made:
        yield made


@pytest.fixture(scope="session")
def layers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Parts of images, as the submitting machine keeps them."""
    return tmp_path_factory.mktemp("layers")


@pytest.fixture
def stage(
    tmp_path: Path, layers: Path, hosts: Laboratory, here: Engine, there: list[HostEngine]
) -> Iterator[NodesStage]:
    """Types `runner`; at the end whatever still runs is canceled."""
    made = NodesStage(tmp_path, hosts, here, there, layers=layers)
    yield made
    for run_id in made.runs():
        made.run("cancel", run_id, "--abandon")
