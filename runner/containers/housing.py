"""Everything that a run in Docker needs beside its nodes: the engine, the image, the containers, and their end."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from runner.containers import labels, sweep
from runner.containers.build_log import BuildLog
from runner.containers.crew import Berth, Crew
from runner.containers.description import Dwelling
from runner.containers.engine import EngineFacts, address, explained, open_engine, read_facts, refuse_gpus_unheard
from runner.containers.images import Client, HadImage, Images
from runner.containers.labels import Role
from runner.containers.options import read_options
from runner.containers.recipe import Recipe
from runner.containers.watch import PauseNews, Watch
from runner.errors import MachineError
from sidecar.contract import publish
from sidecar.contract.layout import RunLayout, WorkspaceLayout

if TYPE_CHECKING:
    from runner.spec.environment import DockerSpec

# An engine that restarts takes seconds; what it cannot remove by then is named.
_CLEAR_LIMIT_S = 30.0
_CLEAR_PAUSE_S = 0.5


class Housing:
    """The containers of one run, from the image to the last trace. Every method may be called again after a crash."""

    def __init__(
        self,
        workspace: WorkspaceLayout,
        run: RunLayout,
        berths: Sequence[Berth],
        *,
        recipe: Recipe,
        docker: DockerSpec,
        environ: Mapping[str, str],
    ) -> None:
        self._workspace = workspace
        self._run = run
        self._berths = tuple(berths)
        self._recipe = recipe
        self._docker = docker
        self._environ = environ
        self._had: HadImage | None = None
        self._facts: EngineFacts | None = None
        self._crew: Crew | None = None
        self._watch: Watch | None = None

    def _open(self) -> Crew:
        """The crew, on an engine that has answered. Raises MachineError."""
        if self._crew is None:
            client = open_engine(self._environ)
            self._crew = Crew(client, address(self._environ), str(self._workspace.root), self._berths)
        return self._crew

    def has_lived(self) -> bool:
        """Whether the containers came up already, under this controller or an earlier one."""
        return all(berth.was_born(role) for berth in self._berths for role in (Role.JOB, Role.SIDECAR))

    def have_image(self, says: Callable[[str], None], is_canceled: Callable[[], bool]) -> HadImage:
        """The image, built or pulled where it is not there. Raises MachineError."""
        crew = self._open()
        with explained("the engine does not say what it is", crew.address):
            self._facts = read_facts(crew.client)
        says(f"{self._facts.maker} {self._facts.version} at {crew.address}, {self._facts.platform}")
        sweep.sweep_quietly(crew.client, crew.address, self._workspace, says)
        images = Images(crew.client, crew.address, self._workspace, self._environ)
        first = self._berths[0].plan
        client = Client(
            owner=crew.labels(self._berths[0]),
            name=labels.container_name(first.run_id, first.node_id, Role.BUILD),
            says=says,
            is_canceled=is_canceled,
        )
        self._had = images.have(self._recipe, self._facts.platform, BuildLog.of_run(self._run), client)
        return self._had

    def move_in(self, says: Callable[[str, str], None], is_canceled: Callable[[], bool]) -> None:
        """Starts the containers and waits until they are up. Raises MachineError; the nodes know of it then."""
        assert self._had is not None and self._facts is not None, "the image comes first"
        crew = self._open()
        try:
            options = read_options(self._docker.arguments, dict(self._environ))
            if options.host.get("DeviceRequests"):
                refuse_gpus_unheard(self._facts)
            network = crew.make_network() if len(self._berths) > 1 else None
            dwelling = Dwelling(
                workspace=str(self._workspace.root),
                image=self._had.image,
                user="0:0" if self._facts.is_rootless else f"{os.getuid()}:{os.getgid()}",
                groups=_groups() if not self._facts.is_rootless else (),
                facts=self._facts,
                options=options,
                shm_size=self._docker.shm_size,
                network=network,
            )
            crew.start(dwelling, is_canceled=is_canceled)
        except MachineError as error:
            self._give_up(error.message)
            raise
        if is_canceled():
            self._give_up("the run was canceled before its containers were up")
        for berth in self._berths:
            name = labels.container_name(berth.plan.run_id, berth.plan.node_id, Role.JOB)
            says(berth.plan.node_id, f"Container {name} of image {self._had.image.name}")
            for warning in crew.warnings:
                says(berth.plan.node_id, f"The engine warns: {warning}")

    def _give_up(self, why: str) -> None:
        """Nothing will run in there: the nodes are released outside."""
        record = {"at_ns": time.time_ns(), "is_out_of_memory": False, "memory_limit_bytes": None, "sentence": why}
        for berth in self._berths:
            berth.node.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            publish.create_once(berth.node.attendant_end, publish.to_json(record))
            publish.create_once(berth.node.container_end, publish.to_json(record))

    def look_after(self, says: Callable[[str, str], None], on_pause: PauseNews) -> None:
        """Begins to watch the containers."""
        if self._watch is None:
            self._watch = Watch(self._open, self._berths, says=says, on_pause=on_pause)
            self._watch.open()

    def wake(self) -> None:
        """Lets paused containers go on, so that they can be stopped. Best effort: an engine may be away."""
        with contextlib.suppress(MachineError):
            self._open().unpause()

    def let_go(self) -> None:
        """From now on containers end because they may."""
        if self._watch is not None:
            self._watch.close()

    def leave(self) -> str | None:
        """Removes every container and network; None, or in words what stayed."""
        deadline = time.monotonic() + _CLEAR_LIMIT_S
        while True:
            try:
                left = self._open().clear()
                return f"{left} containers could not be removed" if left else None
            except MachineError as error:
                if self._crew is None or time.monotonic() >= deadline:
                    was_there = any(berth.was_born(Role.JOB) for berth in self._berths) or self._had is not None
                    return f"containers may be left: {error.message}" if was_there else None
            time.sleep(_CLEAR_PAUSE_S)  # The engine is restarting; the condition is its answer above.


def _groups() -> tuple[str, ...]:
    """The user's further groups: data and devices are often readable for one of them only."""
    return tuple(str(group) for group in os.getgroups() if group != os.getgid()) if os.getuid() else ()
