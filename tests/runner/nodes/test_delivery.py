"""A node's files count as complete only by the seal that its release told of."""

from __future__ import annotations

import hashlib
from pathlib import Path

from runner.nodes.claims import Claims
from runner.nodes.delivery import Delivery
from runner.nodes.intake import Intake
from sidecar import seal
from sidecar.contract.frames import Frame, FrameKind, json_frame
from sidecar.contract.layout import RunLayout

_LOG = "logs/x.log"


def _bring(intake: Intake, node: RunLayout, *paths: str) -> None:
    """What a node's agent sends of these files."""
    wanted: list[Frame] = []
    intake.begin(wanted.append)
    for number, path in enumerate(paths, 1):
        intake.take(json_frame(FrameKind.FILE, {"path": path, "mode": 0o600})._replace(stream=number))
        content = (node.root / path).read_bytes()[wanted[-1].offset :]
        intake.take(Frame(FrameKind.DATA, content, number, wanted[-1].generation, wanted[-1].offset))


def test_an_earlier_seal_is_not_enough(tmp_path: Path) -> None:
    """A release was killed behind its seal and begun again: the first seal does not make the run complete."""
    node, here = RunLayout(tmp_path / "node"), RunLayout(tmp_path / "here")
    (node.root / "logs").mkdir(parents=True)
    here.state.mkdir(parents=True)
    seal_path = str(RunLayout.at("").seal("gpu01"))
    intake = Intake(here, "gpu01", Claims(here, first_node="gpu01"))
    delivery = Delivery(here, "gpu01", intake)
    (node.root / _LOG).write_bytes(b"first")
    seal.write(node, "gpu01")
    _bring(intake, node, _LOG, seal_path)
    (node.root / _LOG).write_bytes(b"first and second")
    delivery.expect(seal.write(node, "gpu01"))
    assert delivery.sealed is None
    assert not delivery.is_complete()
    here.seal("gpu01").unlink()
    _bring(intake, node, _LOG, seal_path)
    assert delivery.is_complete()
    assert hashlib.sha256((here.root / _LOG).read_bytes()).digest() == hashlib.sha256(b"first and second").digest()
