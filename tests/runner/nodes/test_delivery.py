"""A node's files count as complete only by the seal that its release told of."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from runner.nodes.claims import Claims
from runner.nodes.delivery import Delivery
from runner.nodes.intake import Intake
from sidecar import seal
from sidecar.contract import publish
from sidecar.contract.frames import Frame, FrameKind, json_frame
from sidecar.contract.layout import RunLayout
from sidecar.contract.travel import SealedFile, sealed_files

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


def test_a_file_that_its_owner_may_not_read_comes_all_the_same(tmp_path: Path) -> None:
    """The node gives itself the right: what travels is the content."""
    node = RunLayout(tmp_path)
    (node.root / "logs").mkdir(parents=True)
    (node.root / _LOG).write_bytes(b"x")
    (node.root / _LOG).chmod(0)
    seal.write(node, "gpu01")
    sealed = sealed_files(publish.read_records(node.seal("gpu01")), "gpu01")
    assert sealed is not None
    assert (sealed[_LOG].sha256, sealed[_LOG].problem) == (hashlib.sha256(b"x").hexdigest(), None)
    assert (node.root / _LOG).stat().st_mode & 0o400


def test_a_file_that_its_node_cannot_read_is_not_waited_for(tmp_path: Path) -> None:
    """The rest is complete, and the file is named with the reason."""
    here, seal_path = RunLayout(tmp_path), RunLayout(tmp_path).seal("gpu01")
    seal_path.parent.mkdir(parents=True)
    broken = SealedFile("outputs/x", 5, "", 0o600, problem="it cannot be read on the node: Input/output error")
    seal_path.write_bytes(b"".join(publish.to_json(line) + b"\n" for line in (broken.to_record(), {"count": 1})))
    delivery = Delivery(here, "gpu01", Intake(here, "gpu01", Claims(here, first_node="gpu01")))
    assert delivery.is_complete()
    assert delivery.unreadable() == ["outputs/x: it cannot be read on the node: Input/output error"]


@pytest.mark.parametrize(
    "line",
    [
        b'{"path":"../../evil","size":1,"sha256":"0","mode":384}',
        b'{"path":"a","size":"1","sha256":"0","mode":0}',
        b"{}",
    ],
)
def test_a_damaged_list_of_files_is_a_problem_and_no_crash(tmp_path: Path, line: bytes) -> None:
    """What a node says of its files is anybody's: nonsense ends the waiting, named, and nothing is written outside."""
    here = RunLayout(tmp_path / "here")
    here.seal("gpu01").parent.mkdir(parents=True)
    here.seal("gpu01").write_bytes(line + b'\n{"count":1}\n')
    delivery = Delivery(here, "gpu01", Intake(here, "gpu01", Claims(here, first_node="gpu01")))
    assert delivery.sealed == {}
    assert "the node's list of its files is damaged" in str(delivery.problem)
