"""A base image that nothing is built on, and that is not on the submitting machine: the node pulls it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.containers.loopback_registry import LoopbackRegistry
from sidecar.contract.stores import LayersLayout
from tests.docker import images
from tests.docker_nodes.stage import NodesStage

pytestmark = [pytest.mark.docker, pytest.mark.lab, pytest.mark.timeout(600)]


@pytest.fixture
def name(stage: NodesStage, tmp_path: Path) -> Iterator[str]:
    """An image that only a registry on the first host has."""
    store = LayersLayout(tmp_path / "registry")
    with contextlib.closing(stage.engine.client()) as client, LoopbackRegistry(store) as taking:
        client.tag(images.PYTHON_39, taking.repository, "latest")
        list(client.push(taking.repository, "latest", stream=True, auth_config={}))
        client.remove_image(f"{taking.repository}:latest", noprune=True)
        assert taking.manifest is not None
        (store.root / "manifest.json").write_text(json.dumps(taking.manifest))
    argv = [sys.executable, str(Path(__file__).with_name("registry.py")), str(store.root)]
    inside = ["nsenter", f"--target={stage.lab[0].running.pid}", "--net", *argv]
    with subprocess.Popen(inside, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as registry:
        assert registry.stdout is not None
        yield f"127.0.0.1:{registry.stdout.readline().strip()}/python:9"
        registry.kill()


def test_a_node_pulls_what_is_not_here(stage: NodesStage, name: str) -> None:
    """Nothing is shipped, and no engine is needed on the submitting machine."""
    stage.environ["DOCKER_HOST"] = f"unix://{stage.folder}/nobody"
    record = stage.complete(stage.config("import sys; print(sys.version_info[:2])", image=name))
    assert stage.layout(record).driver_log(None).read_text() == "(3, 9)\n"
    said = stage.said(record)
    assert "to be pulled where it is not there" in said
    assert "of the image" not in said and "Loaded" not in said
