"""The Docker engine: opened when it is needed, asked through the docker package, its complaints made plain."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.errors import MachineError

if TYPE_CHECKING:
    from docker import APIClient

DEFAULT_ADDRESS = "unix:///var/run/docker.sock"
_HOST_VARIABLE = "DOCKER_HOST"
# Creating a container on a cold disk takes seconds; an engine that is silent for longer hangs.
_TIMEOUT_S = 120
_DOCTOR = "runner doctor"
_PODMAN = "Podman"
# Of 4 that is measured.
_WITHOUT_GPUS = ("3", "4")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """What decides how containers are made. `maker` is Docker or Podman, `platform` is `linux/amd64`."""

    maker: str
    version: str
    platform: str
    is_rootless: bool
    remaps_users: bool
    has_gpus: bool


def address(environ: Mapping[str, str]) -> str:
    """Where the engine is, as the docker command would look for it."""
    return environ.get(_HOST_VARIABLE) or DEFAULT_ADDRESS


def open_engine(environ: Mapping[str, str]) -> APIClient:
    """A client of the engine, which has answered. Raises MachineError that names what is missing."""
    where = address(environ)
    try:
        with _without_ssh(where):
            import docker
    except ImportError:
        raise MachineError(
            "jobs in Docker need the Python package docker, which is not installed",
            hint="pip install 'scriptrun[docker]'",
            is_final=True,
        ) from None
    try:
        # No environment but the address: proxies of the docker command's configuration are no business of ours.
        return docker.APIClient(base_url=where, version="auto", timeout=_TIMEOUT_S)
    except docker.errors.DockerException as error:
        raise unreachable(where, error) from error


@contextlib.contextmanager
def _without_ssh(where: str) -> Iterator[None]:
    """Lets the docker package pass over paramiko where the engine is not behind it: half of its import, 0.1 s."""
    name = "docker.transport.sshconn"
    is_hidden = not where.startswith("ssh://") and "docker" not in sys.modules
    if is_hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # How Python itself says "not to be imported".
    try:
        yield
    finally:
        if is_hidden:
            del sys.modules[name]


def unreachable(where: str, error: BaseException) -> MachineError:
    """Why the engine at `where` cannot be asked, and what to try."""
    seen: BaseException | None = error
    text = str(error)
    while seen is not None:
        if isinstance(seen, PermissionError) or "Permission denied" in text:
            return MachineError(
                f"no permission on the Docker engine's socket {where}",
                hint="sudo usermod -aG docker $USER, then log in again; or a rootless engine",
            )
        seen = seen.__cause__ or seen.__context__
    what = "nobody listens there" if "refused" in text else "there is none"
    if "No such file" not in text and "refused" not in text:
        what = text.rpartition(": ")[2][:200]
    return MachineError(
        f"no Docker engine at {where}: {what}",
        hint=f"start it (sudo systemctl start docker), or set {_HOST_VARIABLE}; {_DOCTOR} shows what is there",
    )


@contextlib.contextmanager
def explained(what: str, where: str) -> Iterator[None]:
    """Turns the engine's errors into a MachineError that says what was being done."""
    import docker
    import requests

    try:
        yield
    except docker.errors.APIError as error:
        raise MachineError(f"{what}: {reason(error)}") from error
    except (docker.errors.DockerException, requests.RequestException) as error:
        why = unreachable(where, error)
        raise MachineError(f"{what}: {why.message}", hint=why.hint) from error


def reason(error: Any) -> str:
    """The engine's own words, without the address of the request."""
    return str(getattr(error, "explanation", None) or error).strip()


def is_podman(client: APIClient) -> bool:
    """Whether what answers is Podman, which takes some things in another form and passes over what it does not know."""
    parts = client.version().get("Components") or ()
    return any("podman" in str(part.get("Name", "")).lower() for part in parts)


def refuse_gpus_unheard(facts: EngineFacts) -> None:
    """Raises MachineError where the engine would start a container without the GPUs that were asked of it."""
    if facts.maker == _PODMAN and facts.version.partition(".")[0] in _WITHOUT_GPUS:
        raise MachineError(
            f"Podman {facts.version} passes over requests for GPUs: the job would run without",
            hint="docker_runtime_config: {arguments: [--device, /dev/nvidia0]} instead of --gpus",
        )


def read_facts(client: APIClient) -> EngineFacts:
    """What the engine says of itself."""
    info = client.info()
    options = [option.partition("name=")[2].split(",")[0] for option in info.get("SecurityOptions") or ()]
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(info["Architecture"], info["Architecture"])
    has_runtime = "nvidia" in (info.get("Runtimes") or {})
    return EngineFacts(
        maker=_PODMAN if is_podman(client) else "Docker",
        version=str(info["ServerVersion"]),
        platform=f"{info['OSType']}/{machine}",
        is_rootless="rootless" in options,
        remaps_users="userns" in options,
        has_gpus=has_runtime and os.path.exists("/dev/nvidiactl"),
    )
