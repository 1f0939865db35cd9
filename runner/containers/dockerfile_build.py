"""Builds an image from a Dockerfile: by BuildKit where the docker command offers it, else by the engine itself."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.containers import build_access
from runner.containers.build_access import BuildAccess
from runner.containers.build_log import BuildLog
from runner.containers.build_steps import BuildSteps
from runner.containers.engine import is_podman
from runner.containers.recipe import DOCKERFILE, ignore_patterns
from runner.errors import EnvironmentBuildError

if TYPE_CHECKING:
    from docker import APIClient

# As for the docker command itself: 0 asks for the engine's own builder, 1 for BuildKit.
_CHOICE = "DOCKER_BUILDKIT"
_LOOK_S = 0.05
_ASK_S = 20.0
_CONTAINER = re.compile(r"^---> Running in ([0-9a-f]{12,64})$")
# Podman writes `-->`, and fewer digits.
_LAYER = re.compile(r"^-?--> ([0-9a-f]{11,64})$")
_NEEDS_BUILDKIT = re.compile(r"^\s*(#\s*syntax=|RUN\s+--mount|RUN\s*<<|COPY\s*<<)", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOrder:
    """What to build, and what it will be called. `context` None: nothing but the Dockerfile's text.

    `steps` is where the engine's own builder has its steps written down.
    """

    dockerfile: str | None
    context: str | None
    image_name: str
    labels: Mapping[str, str]
    steps: Path


def build(
    client: APIClient,
    order: BuildOrder,
    log: BuildLog,
    *,
    environ: Mapping[str, str],
    address: str,
    is_canceled: Callable[[], bool],
) -> None:
    """Builds and names the image. Raises EnvironmentBuildError; then no half-built image of it stays."""
    # Podman has one builder, of its own.
    docker = None if (is_own := is_podman(client)) else buildkit_command(environ)
    if docker is not None:
        _by_buildkit(docker, order, log, environ={**environ, "DOCKER_HOST": address}, is_canceled=is_canceled)
    else:
        if not is_own:
            _refuse_newer_syntax(order)
        steps = BuildSteps(order.steps, address)
        steps.clear(client)  # Those of an earlier build that was killed.
        _by_engine(client, order, log, steps, environ=environ, is_canceled=is_canceled)


def buildkit_command(environ: Mapping[str, str]) -> str | None:
    """The docker command, where it can drive BuildKit and nobody asked for the other builder."""
    docker = shutil.which("docker", path=environ.get("PATH", os.defpath))
    if docker is None or environ.get(_CHOICE) == "0":
        return None
    if environ.get(_CHOICE) == "1":
        return docker
    try:
        asked = subprocess.run([docker, "buildx", "version"], capture_output=True, timeout=_ASK_S, env=dict(environ))
    except (OSError, subprocess.TimeoutExpired):
        return None
    return docker if asked.returncode == 0 else None


def _by_buildkit(
    docker: str, order: BuildOrder, log: BuildLog, *, environ: Mapping[str, str], is_canceled: Callable[[], bool]
) -> None:
    with tempfile.TemporaryDirectory(prefix="scriptrun-build-") as folder:
        context = order.context
        if context is None:
            context = f"{folder}/context"
            os.mkdir(context)
        dockerfile = f"{context}/{DOCKERFILE}"
        if order.dockerfile is not None:
            Path(f"{folder}/{DOCKERFILE}").write_text(order.dockerfile, encoding="utf-8")
            dockerfile = f"{folder}/{DOCKERFILE}"
        access = build_access.read_access(environ)
        argv = [docker, "build", "--progress=plain", "--tag", order.image_name, "--file", dockerfile]
        argv += [word for name, value in order.labels.items() for word in ("--label", f"{name}={value}")]
        # Without a value: docker takes it from its environment, and no list of processes shows a password.
        argv += [word for name in build_access.proxies(environ) for word in ("--build-arg", name)]
        argv += _secrets(access, Path(folder))
        argv += ["--network", "host"] if access.needs_host_network else []
        log.command([*argv, context])
        _run([*argv, context], {**environ, **access.variables, _CHOICE: "1"}, log, is_canceled)


def _secrets(access: BuildAccess, folder: Path) -> list[str]:
    """Files that a step may ask for by `RUN --mount=type=secret,id=...`: they never become part of a layer."""
    (folder / "access").mkdir(mode=0o700)
    access.write(folder / "access", seen_as="/run/secrets")
    ids = {"certificates.pem": "certificates", "pip.conf": "pip.conf", ".netrc": "netrc", "variables": "variables"}
    found = [(ids[path.name], path) for path in sorted((folder / "access").iterdir())]
    return [word for name, path in found for word in ("--secret", f"id={name},src={path}")]


def _run(argv: list[str], environ: Mapping[str, str], log: BuildLog, is_canceled: Callable[[], bool]) -> None:
    with open(log.open(), "ab") as stream:
        process = subprocess.Popen(
            argv, env=dict(environ), stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True
        )
    while process.poll() is None:
        log.look()
        if is_canceled():
            process.terminate()  # docker tells the engine, which stops the step.
            process.wait()
            raise EnvironmentBuildError("the build was canceled")
        time.sleep(_LOOK_S)  # The condition is the process's end; this keeps the core free between two looks.
    log.look()
    if process.returncode != 0:
        raise _failure(log.last_line(), log)


def _refuse_newer_syntax(order: BuildOrder) -> None:
    text = order.dockerfile if order.dockerfile is not None else Path(order.context or "", DOCKERFILE).read_text()
    if _NEEDS_BUILDKIT.search(text):
        raise EnvironmentBuildError(
            "the Dockerfile needs BuildKit, and no docker command here can drive that",
            hint="install docker-buildx (and unset DOCKER_BUILDKIT=0)",
        )


def _by_engine(
    client: APIClient,
    order: BuildOrder,
    log: BuildLog,
    steps: BuildSteps,
    *,
    environ: Mapping[str, str],
    is_canceled: Callable[[], bool],
) -> None:
    access = build_access.read_access(environ)
    log.say(f"Building {order.image_name} by the engine's own builder")
    told = client.build(
        fileobj=_context_archive(order),
        custom_context=True,
        dockerfile=DOCKERFILE,
        tag=order.image_name,
        labels=dict(order.labels),
        buildargs=build_access.proxies(environ),
        network_mode="host" if access.needs_host_network else None,
        rm=True,
        forcerm=True,
        decode=True,
    )
    reading = _Reading(told, log, steps)
    reading.start()
    while reading.is_alive():
        if is_canceled() and reading.container is not None:
            _kill(client, reading.container)  # The builder itself would wait for the step's end.
        reading.join(timeout=_LOOK_S)
    if reading.problem is not None:
        steps.clear(client)
        raise EnvironmentBuildError("the build was canceled") if is_canceled() else _failure(reading.problem, log)
    steps.forget()


class _Reading(threading.Thread):
    """Reads what the engine's builder says, in a thread of its own: a step may be silent for hours."""

    def __init__(self, told: Iterator[Any], log: BuildLog, steps: BuildSteps) -> None:
        super().__init__(name="build", daemon=True)
        self._told = told
        self._log = log
        self._steps = steps
        self.container: str | None = None
        self.problem: str | None = None

    def run(self) -> None:
        """To the end of the build."""
        try:
            for piece in self._told:
                text = str(piece.get("stream") or "")
                if container := _CONTAINER.match(text.strip()):
                    self.container = container[1]
                    self._steps.note_container(container[1])
                elif layer := _LAYER.match(text.strip()):
                    self._steps.note_layer(layer[1])
                self._log.add(text or _progress(piece))
                if "error" in piece:
                    self.problem = str(piece["error"])
                    self._log.say(f"ERROR: {self.problem}")
        except Exception as error:  # The door of this thread: the engine went away, say.
            self.problem = str(error)


def _kill(client: APIClient, container: str) -> None:
    from docker.errors import APIError

    try:
        client.kill(container)
    except APIError:
        pass  # It has just ended, and the next step may begin: it is killed in the next turn.


def _progress(piece: Mapping[str, Any]) -> str:
    """A line a state of each layer that is pulled, without the bars between them."""
    if not piece.get("status") or piece.get("progressDetail"):
        return ""
    return f"{piece['id']}: {piece['status']}\n" if piece.get("id") else f"{piece['status']}\n"


def _context_archive(order: BuildOrder) -> Any:
    from docker.utils.build import create_archive, exclude_paths

    if order.context is None:
        extra, files = [(DOCKERFILE, order.dockerfile or "")], []
    else:
        extra, files = [], sorted(exclude_paths(order.context, ignore_patterns(order.context), dockerfile=DOCKERFILE))
    return create_archive(order.context or "/", files=files, fileobj=_spool(), extra_files=extra)


def _spool() -> Any:
    return tempfile.SpooledTemporaryFile(max_size=16 * 1024 * 1024)


def _failure(words: str, log: BuildLog) -> EnvironmentBuildError:
    return EnvironmentBuildError(f"the image could not be built: {words}", hint=f"see {log.path}")
