"""How an image reaches a host: only what is missing there, and after a cut from the byte where it broke."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import re
import signal
from pathlib import Path

import pytest

from runner.containers.image_parts import ImageStore
from sidecar.contract import lock
from sidecar.contract.stores import LayersLayout
from tests.docker import images
from tests.docker_nodes.stage import LIMIT_S, NodesStage
from tests.faults.lab import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.lab, pytest.mark.timeout(600)]

_SHOW = "import hashlib; print(hashlib.sha256(open('/added', 'rb').read()).hexdigest())"


def _context(stage: NodesStage, size: int, seed: int) -> str:
    """A build context whose image is the base image and one layer with a file that no compression makes smaller."""
    folder = stage.folder / f"context-{seed}"
    folder.mkdir()
    (folder / "added").write_bytes(random.Random(seed).randbytes(size))
    (folder / "Dockerfile").write_text(f"FROM {images.PYTHON_39}\nCOPY added /added\n")
    return str(folder)


def _ship(stage: NodesStage, size: int, seed: int) -> str:
    """Runs a job in such an image; what the first host's `55_` says."""
    record = stage.complete(stage.config(_SHOW, image=None, image_keys={"build_context": _context(stage, size, seed)}))
    content = Path(stage.folder / f"context-{seed}" / "added").read_bytes()
    assert stage.layout(record).driver_log(None).read_text() == hashlib.sha256(content).hexdigest() + "\n"
    return stage.said(record)


def test_only_missing_layers_travel(stage: NodesStage) -> None:
    """Of an image on a base that the host has, only the added layer is sent; a second run sends nothing."""
    stage.complete(stage.config("print(1)"))
    said = _ship(stage, 2_000_000, 1)
    assert "Shipping 1 of 2 layers" in said
    assert 2_000_000 < int(re.findall(r"Shipped the image: ([\d,]+) bytes", said)[0].replace(",", "")) < 2_100_000
    (stage.folder / "context-1/added").unlink()
    (stage.folder / "context-1/Dockerfile").unlink()
    (stage.folder / "context-1").rmdir()
    assert "is there" in _ship(stage, 2_000_000, 1)


def test_a_cut_costs_only_what_was_under_way(stage: NodesStage) -> None:
    """Every connection is reset after 3 MB: each one goes on where the one before broke, until the image is there."""
    stage.complete(stage.config("print(1)"))
    stage.lab.faults.reset_every(0, 3_000_000)
    try:
        said = _ship(stage, 9_000_000, 2)
    finally:
        stage.lab.faults.heal(0)
    resumed = re.findall(r"of which ([\d,]+) bytes were there", said)
    assert resumed, said
    assert int(resumed[0].replace(",", "")) > 1_000_000


@pytest.mark.chaos
def test_a_controller_that_dies_while_it_ships(stage: NodesStage) -> None:
    """The next one goes on with what the host has by then."""
    stage.complete(stage.config("print(1)"))
    context = _context(stage, 9_000_000, 3)
    stage.lab.faults.throttle(0, 10_000_000)
    try:
        run = stage.submit(str(stage.config(_SHOW, image=None, image_keys={"build_context": context})))
        log = run.execution_log("lab1")
        wait_until(lambda: log.exists() and "MiB sent" in log.read_text(), limit_s=LIMIT_S, what="a sign of shipping")
        held = lock.holder(run.controller_lock)
        assert held is not None
        os.kill(held.pid, signal.SIGKILL)
        wait_until(lambda: lock.holder(run.controller_lock) is None, limit_s=LIMIT_S, what="its end")
        stage.run("attach", run.root.name, limit_s=LIMIT_S)
    finally:
        stage.lab.faults.heal(0)
    record = stage.wait_ended(run.root.name)
    assert record["status"] == "Completed", stage.explain(record)
    assert "bytes were there" in stage.said(record)
    stage.expect_nothing_left()


def test_parts_of_an_image_that_cannot_be_pushed(stage: NodesStage, tmp_path: Path) -> None:
    """One without a name is packed whole: every layer is what the image says that it is."""
    with contextlib.closing(stage.engine.client()) as client:
        container = client.create_container(images.PYTHON_39, ["true"])["Id"]
        image = str(client.commit(container)["Id"])
        said: list[str] = []
        try:
            store = LayersLayout(tmp_path / "parts")
            parts = ImageStore(client, "here", store).parts(image, said.append, lambda: False)
            layers = client.inspect_image(image)["RootFS"]["Layers"]
        finally:
            client.remove_container(container)
            client.remove_image(image)
    assert "Packing the whole image" in said[0]
    assert [f"sha256:{part.sha256}" for part in parts.layers] == layers
    assert f"sha256:{parts.config.sha256}" == image
    for part in (parts.config, *parts.layers):
        assert hashlib.sha256(store.blob(part.sha256).read_bytes()).hexdigest() == part.sha256
