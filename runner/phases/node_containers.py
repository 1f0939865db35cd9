"""Containers on machines with engines of their own: the image reaches every node, then its containers come up.

The node's `55_` says what was built, packed, shipped or pulled; what it needs on this machine is in `20_`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runner.errors import MachineError
from runner.nodes.image_shipment import ImageShipment
from runner.nodes.node import Node
from runner.phases import containers, image_build, secure
from runner.phases.phase import PhaseFailed, PhasePlan, RunContext, Stage
from sidecar.contract.orders import ORDER_NAMES, Verb

if TYPE_CHECKING:
    from runner.containers.image_parts import ImageParts
    from runner.containers.images import HadImage
    from runner.containers.node_house import NodeHouse, WantedImage

PHASE = "containers"
_PROGRESS_S = 2.0
_MIB = 2**20


def plan(context: RunContext) -> PhasePlan:
    """Which image, and where it goes."""
    first = containers.plan(context).lines[0]
    return PhasePlan(
        phase=PHASE,
        lines=(
            first,
            *(
                f"{node.node_id}: have the image there (pulled, or shipped layer by layer), "
                "start its container, and one for its sidecar"
                for node in context.nodes
            ),
        ),
    )


def run(context: RunContext, stage: Stage, house: NodeHouse) -> HadImage | None:
    """Has image and containers on every node; None where an earlier controller saw them up. Raises PhaseFailed."""
    if all(_done(node, Verb.HOUSE) for node in stage.fleet):
        return None
    _wait(stage, Verb.ENGINE)
    for node in stage.fleet:
        engine = _told(node, Verb.ENGINE)
        stage.say(node.node_id, f"{engine['maker']} {engine['version']} at {engine['socket']}, {engine['platform']}")
        if engine.get("swept"):
            stage.say(node.node_id, f"Removed what crashes had left: {', '.join(engine['swept'])}")
    first = context.nodes[0].node_id
    wanted = containers.beside(
        stage, image_build.PHASE, lambda is_off: house.have_image(lambda text: stage.say(first, text), is_off)
    )
    _check_platforms(stage, wanted)
    if wanted.pull is not None:
        for node in stage.fleet:
            stage.say(node.node_id, f"Looking for the image {wanted.name}, to be pulled where it is not there")
    stage.step_everywhere(Verb.IMAGE, PHASE, body=wanted.question())
    parts = _ship(stage, house, wanted, first)
    for node in stage.fleet:
        image = _told(node, Verb.IMAGE)
        shipped = None if image["has"] else parts
        node_plan = next(known for known in context.nodes if known.node_id == node.node_id)
        try:
            body = house.order(node_plan, _told(node, Verb.ENGINE), wanted, image=image, parts=shipped)
        except MachineError as error:
            stage.say(node.node_id, f"{PHASE} failed: {error.message}")
            raise PhaseFailed(PHASE, error.message, node_id=node.node_id, hint=error.hint) from error
        node.order(ORDER_NAMES[Verb.HOUSE], Verb.HOUSE, body)
    _wait(stage, Verb.HOUSE)
    for node in stage.fleet:
        loaded = _told(node, Verb.HOUSE).get("load_s")
        if loaded is not None:
            stage.say(node.node_id, f"Loaded the image in {loaded:.1f} s")
        stage.say(node.node_id, f"Container {context.run_id}-{node.node_id} of image {wanted.name}")
        for warning in _told(node, Verb.HOUSE).get("warnings") or ():
            stage.say(node.node_id, f"The engine warns: {warning}")
    return wanted.had


class News:
    """Passes on what nodes tell of their containers once these are up: one was paused, or is no more."""

    def __init__(self, context: RunContext, stage: Stage) -> None:
        self._context = context
        self._stage = stage
        self._paused: dict[str, str | None] = {}
        self._ended: set[tuple[str, str]] = set()

    def look(self) -> None:
        """Tells of every change since the last look."""
        for node in self._stage.fleet:
            name = node.state.paused
            if name != self._paused.get(node.node_id):
                self._paused[node.node_id] = name
                why = (
                    None if name is None else f"its container is paused; it goes on after, there: docker unpause {name}"
                )
                containers.tell_paused(self._context, self._stage, node.node_id, why)
            # Before they were up, the phase itself says what became of them.
            for role, sentence in list(node.state.container_ends.items()) if _done(node, Verb.HOUSE) else ():
                if (node.node_id, role) not in self._ended:
                    self._ended.add((node.node_id, role))
                    self._stage.say(node.node_id, f"{sentence[:1].upper()}{sentence[1:]}")


def _check_platforms(stage: Stage, wanted: WantedImage) -> None:
    for node in stage.fleet:
        platform = str(_told(node, Verb.ENGINE)["platform"])
        if wanted.platform is not None and wanted.pull is None and platform != wanted.platform:
            message = f"{node.node_id} runs {platform}, and the image {wanted.name} is for {wanted.platform}"
            stage.say(node.node_id, f"{PHASE} failed: {message}")
            raise PhaseFailed(
                PHASE,
                message,
                node_id=node.node_id,
                hint="submit from a machine of the nodes' kind, or use a base_image",
            )


def _ship(stage: Stage, house: NodeHouse, wanted: WantedImage, first: str) -> ImageParts | None:
    """Sends every node the parts that it lacks, over the link that is there; returns the parts."""
    lacking = [node for node in stage.fleet if not _told(node, Verb.IMAGE)["has"]]
    for node in stage.fleet:
        told = _told(node, Verb.IMAGE)
        if told.get("problem"):
            stage.say(node.node_id, f"It cannot pull the image, which is shipped instead: {told['problem']}")
        if told["has"]:
            stage.say(node.node_id, f"The image {wanted.name} is there")
    if not lacking:
        return None
    parts = containers.beside(
        stage, PHASE, lambda is_off: house.parts(wanted, lambda text: stage.say(first, text), is_off)
    )
    shipments = []
    for node in lacking:
        count = int(_told(node, Verb.IMAGE)["layer_count"])
        shipment = house.shipment(parts, count)
        stage.say(
            node.node_id,
            f"Shipping {len(parts.layers) - count} of {len(parts.layers)} layers of the image {wanted.name}, "
            f"{shipment.total_bytes / _MIB:.1f} MiB; it has the others",
        )
        shipments.append(shipment)
        if not _done(node, Verb.HOUSE):
            node.ship(shipment)
        else:
            shipment.is_complete = True
    _wait_shipped(stage, lacking, shipments)
    return parts


def _wait_shipped(stage: Stage, nodes: Sequence[Node], shipments: Sequence[ImageShipment]) -> None:
    started = time.monotonic()
    told: dict[str, tuple[float, int]] = {node.node_id: (started, 0) for node in nodes}

    def look() -> bool:
        now = time.monotonic()
        for node, shipment in zip(nodes, shipments, strict=True):
            last, size = told[node.node_id]
            if not shipment.is_complete and now - last >= _PROGRESS_S and shipment.done_bytes != size:
                told[node.node_id] = (now, shipment.done_bytes)
                done, total = shipment.done_bytes / _MIB, shipment.total_bytes / _MIB
                stage.say(node.node_id, f"Image: {done:.1f} of {total:.1f} MiB sent")
        return all(shipment.is_complete for shipment in shipments) or any(
            node.refusal is not None or node.state.is_lost for node in nodes
        )

    stage.fleet.wait(look)
    for node, shipment in zip(nodes, shipments, strict=True):
        if node.refusal is not None or node.state.is_lost:
            why = node.refusal or str(node.state.loss)
            stage.say(node.node_id, f"{PHASE} failed: {why}")
            raise PhaseFailed(PHASE, why, node_id=node.node_id, hint="free some space there")
        again = f", of which {shipment.resumed_bytes:,} bytes were there" if shipment.resumed_bytes else ""
        stage.say(
            node.node_id,
            f"Shipped the image: {shipment.total_bytes:,} bytes in {time.monotonic() - started:.1f} s{again}",
        )


def _told(node: Node, verb: Verb) -> Mapping[str, Any]:
    return node.state.step(verb.value) or {}


def _done(node: Node, verb: Verb) -> bool:
    return _told(node, verb).get("state") == "done"


def _wait(stage: Stage, verb: Verb) -> None:
    """Waits until every steward has done the step. Raises PhaseFailed."""
    phase = secure.PHASE if verb is Verb.ENGINE else PHASE

    def failed() -> Node | None:
        return next((node for node in stage.fleet if _told(node, verb).get("state") == "failed"), None)

    stage.fleet.wait(lambda: all(_done(node, verb) for node in stage.fleet) or failed() is not None)
    node = failed()
    if node is not None:
        record = _told(node, verb)
        message = str(record["message"])
        stage.say(node.node_id, f"{phase} failed: {message}")
        raise PhaseFailed(phase, message, node_id=node.node_id, hint=record.get("hint"))
