"""Brings the data of a run to nodes that are other machines; a node that has them under the same path is sent nothing.

listings -> each node looks at its own files -> what is nowhere in place is hashed -> contents that a node lacks

The node's `55_` says what was in place, what was sent and what was there already.
"""

from __future__ import annotations

import time

from runner.nodes.fleet import CancelRequested
from runner.nodes.input_shipment import InputShipment, Parcel
from runner.nodes.node import Node
from runner.phases import containers
from runner.phases.phase import PhaseFailed, RunContext, Stage
from runner.spec.data import InputSpec
from runner.store.inputs import Hashed, Inputs
from sidecar.contract import settings
from sidecar.contract.layout import WorkspaceLayout
from sidecar.contract.orders import Verb

PHASE = "data"
_PROGRESS_S = 2.0
_MIB = 2**20


def lines(context: RunContext) -> tuple[str, ...]:
    """What every node is going to have, for the plan of job preparation."""
    return tuple(
        f"{node.node_id}: have the data set {given.name}, {given.file_count} files, {given.size_bytes / _MIB:.1f} MiB, "
        "in place or sent"
        for node in context.nodes
        for given in context.request.data.inputs
    )


def run(context: RunContext, stage: Stage) -> dict[str, str]:
    """Has every data set on every node; returns the id of its contents by that of its listing, of those that were sent.

    Raises PhaseFailed. Nodes that were prepared under an earlier controller have everything.
    """
    given = {one.listing: one for one in context.request.data.inputs}
    unprepared = [node for node in stage.fleet if node.state.step(Verb.PREPARE.value) is None]
    if not given or not unprepared:
        return {}
    store = Inputs(WorkspaceLayout(context.run.root.parents[1]))
    listings = [_listing_parcel(store, listing_id) for listing_id in given]
    _ship(stage, {node: listings for node in unprepared if node.state.step(Verb.INPUTS.value) is None}, "")
    stage.step_everywhere(Verb.INPUTS, PHASE)
    lacking = {node: [id for id in given if id not in _in_place(node)] for node in unprepared}
    for node in unprepared:
        for listing_id in _in_place(node) & given.keys():
            place = store.read(listing_id).place
            stage.say(node.node_id, f"Data set {given[listing_id].name} is in place: {place}")
    wanted = [listing_id for listing_id in given if any(listing_id in ids for ids in lacking.values())]
    if not wanted:
        return {}
    _check_limit(context, stage, lacking, given)
    hashed = containers.beside(
        stage, PHASE, lambda is_off: {listing_id: store.hash(listing_id, is_off) for listing_id in wanted}
    )
    parcels = {node: content_parcels([hashed[id] for id in ids]) for node, ids in lacking.items()}
    _ship(stage, parcels, "of the data sets")
    return {listing_id: found.id for listing_id, found in hashed.items()}


def _in_place(node: Node) -> set[str]:
    return set(map(str, (node.state.step(Verb.INPUTS.value) or {}).get("in_place", ())))


def _check_limit(
    context: RunContext, stage: Stage, lacking: dict[Node, list[str]], given: dict[str, InputSpec]
) -> None:
    limit_bytes = context.request.data.limit_bytes
    for node, ids in lacking.items():
        size_bytes = sum(given[listing_id].size_bytes for listing_id in ids)
        if size_bytes > limit_bytes:
            message = (
                f"{', '.join(given[listing_id].name for listing_id in ids)}: {size_bytes / _MIB:,.1f} MiB of data are "
                f"not on {node.node_id} under the same path, and at most {limit_bytes / _MIB:,.1f} MiB are sent"
            )
            stage.say(node.node_id, f"{PHASE} failed: {message}")
            hint = f"set {settings.DATA_LIMIT_MB} when you submit, or use a file system that the node shares"
            raise PhaseFailed(PHASE, message, node_id=node.node_id, hint=hint)


def _listing_parcel(store: Inputs, listing_id: str) -> Parcel:
    path = store.listing_path(listing_id)
    return Parcel(sha256=listing_id, size=path.stat().st_size, kind="listing", path=path)


def content_parcels(found: list[Hashed]) -> list[Parcel]:
    """What is sent of data sets: each content once, the manifests last."""
    contents = {sha256: content for hashed in found for sha256, content in hashed.contents.items()}
    parcels = [
        Parcel(sha256=sha256, size=file.size, kind="object", path=path, mtime_ns=file.mtime_ns)
        for sha256, (path, file) in contents.items()
    ]
    manifests = {hashed.id: hashed.manifest for hashed in found}
    parcels += [
        Parcel(sha256=set_id, size=path.stat().st_size, kind="manifest", path=path)
        for set_id, path in manifests.items()
    ]
    return parcels


def _ship(stage: Stage, parcels: dict[Node, list[Parcel]], what: str) -> None:
    """Sends every node what it lacks of its parcels, and waits until it has all. Raises PhaseFailed."""
    shipments = {node: InputShipment(own) for node, own in parcels.items() if own}
    for node, shipment in shipments.items():
        node.ship(shipment)
    told = {node: (time.monotonic(), 0) for node in shipments}

    def look() -> bool:
        now = time.monotonic()
        for node, shipment in shipments.items():
            last, size = told[node]
            if what and not shipment.is_complete and now - last >= _PROGRESS_S and shipment.sent_bytes != size:
                told[node] = (now, shipment.sent_bytes)
                total = shipment.lacking_bytes / _MIB
                done = min(shipment.sent_bytes / _MIB, total)
                stage.say(node.node_id, f"Data: {done:.1f} of {total:.1f} MiB sent")
        return all(shipment.is_complete for shipment in shipments.values()) or any(
            _problem(node, shipment) is not None for node, shipment in shipments.items()
        )

    try:
        stage.fleet.wait(look)
    except CancelRequested:
        for shipment in shipments.values():
            shipment.stop()
        raise
    for node, shipment in shipments.items():
        problem = _problem(node, shipment)
        if problem is not None:
            stage.say(node.node_id, f"{PHASE} failed: {problem}")
            hint = "submit again" if shipment.problem is not None else "free some space there"
            for other in shipments.values():
                other.stop()
            raise PhaseFailed(PHASE, problem, node_id=node.node_id, hint=hint)
        if what:
            count, size = shipment.lacking_count, shipment.lacking_bytes
            sent = (
                f"Shipped {size:,} bytes in {count} contents {what}" if count else f"Nothing to ship {what}: it has all"
            )
            stage.say(node.node_id, sent)


def _problem(node: Node, shipment: InputShipment) -> str | None:
    """Why the node will not have its parcels; None where it has them, or they are on their way."""
    if shipment.is_complete:
        return None
    return shipment.problem or node.refusal or node.state.loss
