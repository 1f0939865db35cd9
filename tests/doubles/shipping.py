"""Sends what a run needs from a workspace to a node's store without a network: both real ends, frame by frame."""

from __future__ import annotations

from pathlib import Path

from runner.nodes.input_shipment import InputShipment, Parcel
from runner.nodes.shipment import Shipment
from runner.phases.inputs import content_parcels
from runner.store.inputs import Inputs
from sidecar.contents import Contents, InputContents
from sidecar.contract.layout import WorkspaceLayout
from sidecar.contract.stores import InputsLayout


def node_store(folder: Path) -> InputsLayout:
    """The store of the node whose work directory is in `folder`."""
    return InputsLayout.of(folder / "node")


def parcels_of(data: Path, folder: Path) -> tuple[str, list[Parcel]]:
    """(id, contents) of a data set, hashed through the workspace in `folder`."""
    store = Inputs(WorkspaceLayout(folder / "workspace"))
    hashed = store.hash(store.list(str(data)).id, lambda: False)
    return hashed.id, content_parcels([hashed])


def exchange(shipment: InputShipment | Shipment, node: Contents, *, frames: int | None = None) -> int:
    """Ships over one link, which ends after so many frames; how many bytes went."""
    sent = 0
    answers = [node.need(question.body) for question in shipment.questions()]
    while answers:
        for frame in shipment.take_answer(answers.pop(0)):
            if frames is not None and frames == 0:
                return sent
            frames = None if frames is None else frames - 1
            sent += len(frame.payload)
            answer = node.take(frame)
            if answer:
                answers.append(answer)
    return sent


def ship_set(data: Path, folder: Path) -> tuple[InputsLayout, str, int]:
    """(the node's store, the data set's id, how many bytes had to be sent) once the node has the data set."""
    set_id, parcels = parcels_of(data, folder)
    shipment = InputShipment(parcels)
    sent = exchange(shipment, InputContents(node_store(folder), "gpu01", "run"))
    assert shipment.is_complete, shipment.problem
    return node_store(folder), set_id, sent
