"""How an image reaches a host: only what is missing there, and after a cut from the byte where it broke."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from tests.docker import images
from tests.docker_nodes.stage import NodesStage

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
    import hashlib

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
