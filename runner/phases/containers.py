"""Containers: a job in Docker gets its image, and each node a container to live in, before anything else happens.

Its logs are `20_` where an image is built, and the nodes' `55_`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from runner.errors import MachineError
from runner.nodes import contact
from runner.nodes.contact import LostContact
from runner.nodes.fleet import CancelRequested
from runner.phases import image_build, secure
from runner.phases.phase import PhaseFailed, PhasePlan, RunContext, Stage

# Whatever is being built or pulled hears of a cancellation in a moment; an engine that hangs must not hold it up.
_CANCEL_LIMIT_S = 30.0
_Found = TypeVar("_Found")


class HadImage(Protocol):
    """An image that is there."""

    @property
    def key(self) -> str | None:
        """The hash of what it was built of; None where it was not built."""

    @property
    def is_hit(self) -> bool | None:
        """Whether it had been built before."""


class Housing(Protocol):
    """The port: what a run in Docker needs beside its nodes."""

    def has_lived(self) -> bool:
        """Whether the containers came up already, under this controller or an earlier one."""

    def have_image(self, says: Callable[[str], None], is_canceled: Callable[[], bool]) -> HadImage:
        """The image, built or pulled where it is not there. Raises MachineError."""

    def move_in(self, says: Callable[[str, str], None], is_canceled: Callable[[], bool]) -> None:
        """Starts the containers and waits until they are up. Raises MachineError."""

    def look_after(self, says: Callable[[str, str], None], on_pause: Callable[[str, str | None], None]) -> None:
        """Begins to watch the containers."""

    def wake(self) -> None:
        """Lets paused containers go on, so that they can be stopped."""

    def let_go(self) -> None:
        """From now on containers end because they may."""

    def leave(self) -> str | None:
        """Removes every container and network; None, or in words what stayed."""


def plan(context: RunContext) -> PhasePlan:
    """Which image, and how many containers."""
    image, count = context.request.environment.docker, len(context.nodes)
    what = (
        image.build_context or (image.base_dockerfile and "the Dockerfile") or image.base_image or "the default image"
    )
    environment = context.request.environment
    has_more = environment.pip_requirements or environment.conda_dependencies_file
    more = " with packages on top" if has_more and not environment.user_managed_dependencies else ""
    return PhasePlan(
        phase="containers",
        lines=(
            f"have the image {what}{more}, unless it is cached",
            *(f"{node.node_id}: start its container, and one for its sidecar" for node in context.nodes),
            *(("make a network for them",) if count > 1 else ()),
        ),
    )


def run(context: RunContext, stage: Stage, housing: Housing) -> HadImage | None:
    """Has the image and the containers; None where they came up under an earlier controller. Raises PhaseFailed."""
    for node in stage.fleet:
        stage.say(node.node_id, f"Securing node {node.node_id} for run {context.run_id}")
    had = None
    if not housing.has_lived():
        first = context.nodes[0].node_id
        had = beside(
            stage, image_build.PHASE, lambda is_off: housing.have_image(lambda text: stage.say(first, text), is_off)
        )
        # The agents start meanwhile.
        for node in stage.fleet:
            node.open()
        beside(stage, secure.PHASE, lambda is_off: housing.move_in(stage.say, is_off))
    housing.look_after(stage.say, lambda node_id, why: tell_paused(context, stage, node_id, why))
    return had


def beside(stage: Stage, phase: str, act: Callable[[Callable[[], bool]], _Found]) -> _Found:
    """Has `act` done in a thread, so that a cancellation is heard. Raises PhaseFailed and CancelRequested."""
    found: list[_Found] = []
    errors: list[Exception] = []
    is_off = threading.Event()

    def work() -> None:
        try:
            found.append(act(is_off.is_set))
        except Exception as error:  # The door of this thread: raised again below.
            errors.append(error)
        stage.fleet.notify()

    thread = threading.Thread(target=work, name=phase, daemon=True)
    thread.start()
    try:
        stage.fleet.wait(lambda: bool(found or errors))
    except CancelRequested:
        is_off.set()
        thread.join(_CANCEL_LIMIT_S)
        raise
    if errors and isinstance(errors[0], MachineError):
        error = errors[0]
        for node in stage.fleet:
            stage.say(node.node_id, f"{phase} failed: {error.message}")
        raise PhaseFailed(phase, error.message, hint=error.hint) from error
    if errors:
        raise errors[0]
    return found[0]


def tell_paused(context: RunContext, stage: Stage, node_id: str, why: str | None) -> None:
    """A paused container is out of reach until somebody lets it go on: every command says so."""
    path = context.run.node_contact(node_id)
    if why is None:
        contact.write_found(path)
        stage.say(node_id, "Its container goes on")
        return
    contact.write_lost(path, LostContact(lost_at=time.time(), problem=why))
    stage.say(node_id, why[0].upper() + why[1:])
