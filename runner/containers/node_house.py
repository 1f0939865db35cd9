"""What a job in Docker needs on machines with engines of their own: an image, and containers on each node.

The node's steward (sidecar/steward.py) does there what it is told; everything is decided and described here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.containers import description, labels, sweep
from runner.containers.build_log import BuildLog
from runner.containers.description import Dwelling, Image
from runner.containers.engine import EngineFacts, address, explained, open_engine, read_facts, refuse_gpus_unheard
from runner.containers.image_cache import has_image
from runner.containers.image_parts import ImageParts, ImageStore
from runner.containers.images import Client, HadImage, Images
from runner.containers.labels import Role
from runner.containers.options import read_options
from runner.containers.recipe import Recipe
from runner.errors import MachineError
from runner.nodes.image_shipment import ImageShipment, Part
from sidecar.contract import container_labels
from sidecar.contract.layout import NodeLayout, RunLayout, WorkspaceLayout
from sidecar.contract.orders import NodePlan
from sidecar.contract.stores import LayersLayout

if TYPE_CHECKING:
    from docker import APIClient

    from runner.spec.environment import DockerSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedImage:
    """The image that every node is to have. `id` and `layers` are known where it is on this machine."""

    name: str
    had: HadImage
    id: str | None = None
    layers: tuple[str, ...] = ()
    platform: str | None = None
    pull: str | None = None

    def question(self) -> dict[str, Any]:
        """What a node is asked: whether it has it, and otherwise how much of it."""
        return {"id": self.id, "layers": list(self.layers), "pull": self.pull}


class NodeHouse:
    """The containers of one run on nodes that are reached over a network."""

    def __init__(
        self,
        workspace: WorkspaceLayout,
        run: RunLayout,
        first: NodePlan,
        *,
        recipe: Recipe,
        docker: DockerSpec,
        environ: Mapping[str, str],
    ) -> None:
        self._workspace = workspace
        self._run = run
        self._first = first
        self._recipe = recipe
        self._docker = docker
        self._environ = environ
        self._client: APIClient | None = None

    @property
    def store(self) -> Path:
        """Where parts of images lie on this machine."""
        return LayersLayout.of(self._workspace.root).root

    def have_image(self, says: Callable[[str], None], is_canceled: Callable[[], bool]) -> WantedImage:
        """The image, built here where it is to be built; a base image that is not here is the nodes' to pull."""
        is_plain = not self._recipe.is_built
        try:
            client = self._open()
        except MachineError:
            if is_plain:
                return self._to_be_pulled()
            raise
        where = address(self._environ)
        if is_plain and not has_image(client, where, str(self._recipe.base_image)):
            return self._to_be_pulled()
        owner = {labels.RUN: self._first.run_id, labels.WORKSPACE: str(self._workspace.root)}
        asker = Client(
            owner=owner,
            name=labels.container_name(self._first.run_id, self._first.node_id, Role.BUILD),
            says=says,
            is_canceled=is_canceled,
        )
        facts = read_facts(client)
        says(f"{facts.maker} {facts.version} at {where}, {facts.platform}, on the submitting machine")
        sweep.sweep_quietly(client, where, self._workspace, says)
        images = Images(client, where, self._workspace, self._environ)
        had = images.have(self._recipe, facts.platform, BuildLog.of_run(self._run), asker)
        with explained("the image cannot be looked at", where):
            found = client.inspect_image(had.image.id)  # type: ignore[no-untyped-call]  # its stubs
        digests = found.get("RepoDigests") or ()
        return WantedImage(
            name=had.image.name,
            had=had,
            id=had.image.id,
            layers=tuple((found.get("RootFS") or {}).get("Layers") or ()),
            platform=f"{found.get('Os')}/{found.get('Architecture')}",
            # One that came from a registry comes from there to the nodes, where they reach it.
            pull=str(digests[0]) if is_plain and digests else None,
        )

    def _open(self) -> APIClient:
        if self._client is None:
            self._client = open_engine(self._environ)
        return self._client

    def _to_be_pulled(self) -> WantedImage:
        name = str(self._recipe.base_image)
        had = HadImage(image=Image(id=name, name=name), key=None, is_hit=None)
        return WantedImage(name=name, had=had, pull=name)

    def parts(self, wanted: WantedImage, says: Callable[[str], None], is_canceled: Callable[[], bool]) -> ImageParts:
        """The parts of the image as files of this machine. Raises MachineError."""
        assert wanted.id is not None, "an image that is shipped is here"
        store = ImageStore(self._open(), address(self._environ), LayersLayout(self.store))
        return store.parts(wanted.id, says, is_canceled)

    def shipment(self, parts: ImageParts, layer_count: int) -> ImageShipment:
        """The parts for a node that has the lowest `layer_count` layers."""
        wanted: dict[Part, None] = dict.fromkeys((*parts.layers[layer_count:], parts.config))
        return ImageShipment(self.store, list(wanted))

    def order(
        self,
        plan: NodePlan,
        engine: Mapping[str, Any],
        wanted: WantedImage,
        *,
        image: Mapping[str, Any],
        parts: ImageParts | None,
    ) -> dict[str, Any]:
        """What a node's steward needs to load the image and to make the containers.

        `engine` and `image` are what the node told in the steps of these names; `parts` where it was shipped to it.
        Raises MachineError for what its engine cannot do.
        """
        there = plan.resolved(work=str(engine["work"]), bundle=str(engine["bundle"]))
        node = NodeLayout(Path(there.run_root).parent)
        name, load = str(image.get("id")), None
        entrypoint = image.get("entrypoint", wanted.had.image.entrypoint)
        if parts is not None:
            assert wanted.id is not None, "an image that was shipped has an id"
            name = container_labels.shipped_name(wanted.id)
            count = int(image["layer_count"])
            sent = [None if number < count else part.sha256 for number, part in enumerate(parts.layers)]
            load = {"tag": name, "config": parts.config.sha256, "layers": sent}
        facts = {
            key: engine[key] for key in ("maker", "version", "platform", "is_rootless", "remaps_users", "has_gpus")
        }
        options = read_options(self._docker.arguments, dict(self._environ))
        if options.host.get("DeviceRequests"):
            refuse_gpus_unheard(EngineFacts(**facts))
        options.host.setdefault("NetworkMode", "host")
        dwelling = Dwelling(
            workspace=str(engine["work"]),
            image=Image(id=name, name=wanted.name, entrypoint=tuple(entrypoint)),
            user=str(engine["user"]),
            groups=tuple(engine["groups"]),
            facts=EngineFacts(**facts),
            options=options,
            shm_size=self._docker.shm_size,
            # Ranks reach each other at the addresses of their machines; a network of the engine's ends at the machine.
            network=None,
        )
        return {
            "load": load,
            "image": {"name": wanted.name, "entrypoint": list(entrypoint)},
            "no_python": description.NO_PYTHON,
            "user_lines": _user_lines(str(engine["user"]), str(engine["user_name"]), node),
            "containers": [
                {
                    "role": role.value,
                    "name": labels.container_name(plan.run_id, plan.node_id, role),
                    "described": describe(there, node, dwelling),
                }
                for role, describe in (
                    (Role.JOB, description.job_container),
                    (Role.SIDECAR, description.sidecar_container),
                )
            ],
        }


def _user_lines(user: str, name: str, node: NodeLayout) -> dict[str, Any]:
    """By file of /etc: the number that it must know, and the line for it; none for root, whom every image knows."""
    uid, gid = user.split(":")
    if uid == "0":
        return {}
    return {
        "passwd": [uid, description.passwd_line(name, user, node.home)],
        "group": [gid, f"u{gid}:x:{gid}:\n"],
    }
