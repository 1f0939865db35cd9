"""What `runner doctor` says of the Docker engine beyond that it answers: what jobs in containers will meet there."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from runner.containers import dockerfile_build
from runner.containers.engine import address, explained, is_podman, open_engine
from runner.containers.image_cache import list_images
from runner.containers.presence import check_engine
from runner.containers.sweep import is_over
from runner.errors import MachineError
from runner.nodes.finding import Finding, Level

if TYPE_CHECKING:
    from sidecar.contract.layout import WorkspaceLayout

_LOW_BYTES = 5 * 2**30


def inspect_engine(workspace: WorkspaceLayout, environ: Mapping[str, str]) -> list[Finding]:
    """Findings about the engine; none where there is no engine, which the machine's own report says."""
    try:
        check_engine(environ)
    except MachineError:
        return []
    if importlib.util.find_spec("docker") is None:
        hint = "pip install 'scriptrun[docker]'"
        return [_warning("docker package", "the Python package docker is not installed", hint)]
    try:
        with explained("the engine cannot be asked", address(environ)):
            return list(_findings(workspace, environ))
    except MachineError as error:
        return [_warning("docker engine", error.message, error.hint)]


def _findings(workspace: WorkspaceLayout, environ: Mapping[str, str]) -> Iterator[Finding]:
    client = open_engine(environ)
    info = client.info()
    kind = "rootless, " if any("rootless" in text for text in info.get("SecurityOptions") or ()) else ""
    has_own_ways = is_podman(client)
    maker = f"Podman {info.get('ServerVersion')}, " if has_own_ways else ""
    what = (
        f"{maker}{kind}{info.get('Driver')} storage, cgroup v{info.get('CgroupVersion', '1')}, {info['Architecture']}"
    )
    yield _fine("docker engine", what)
    yield from _traps(info, outlives=has_own_ways)
    yield _space(str(info.get("DockerRootDir", "")))
    has_gpus = "nvidia" in (info.get("Runtimes") or {})
    if os.path.exists("/dev/nvidiactl") and not has_gpus:
        yield _warning(
            "docker GPUs", "containers get no GPU: the nvidia runtime is missing", "nvidia-container-toolkit"
        )
    elif has_gpus:
        yield _fine("docker GPUs", "containers get the GPUs of this machine")
    buildkit = None if has_own_ways else dockerfile_build.buildkit_command(environ)
    without = "Dockerfiles are built by the engine itself"
    without += "" if has_own_ways else "; RUN --mount needs docker-buildx"
    yield _fine("docker builder", f"BuildKit, by {buildkit}" if buildkit else without)
    found = list(list_images(client, address(environ)))
    size = sum(image["size_bytes"] for image in found)
    yield _fine("docker images", f"{len(found)} built for jobs, {size / 2**20:.0f} MiB (runner environment list)")
    yield _leftovers(client, workspace)


def _traps(info: Mapping[str, Any], *, outlives: bool) -> Iterator[Finding]:
    """`outlives`: containers go on without the engine in any case."""
    if not (outlives or info.get("LiveRestoreEnabled")):
        text = "jobs in containers end when the engine is restarted"
        yield _warning("docker restarts", text, '"live-restore": true in /etc/docker/daemon.json')
    if info.get("MemoryLimit") is False:
        yield _warning("docker memory", "the kernel gives containers no memory limit", "cgroup_enable=memory at boot")


def _space(root: str) -> Finding:
    try:
        disk = os.statvfs(root)
    except OSError:
        return _fine("docker disk", f"{root}, which this user may not look into")
    free = disk.f_bavail * disk.f_frsize
    text = f"{free / 2**30:.0f} GiB free in {root}"
    return (
        _fine("docker disk", text) if free > _LOW_BYTES else _warning("docker disk", text, "runner environment prune")
    )


def _leftovers(client: Any, workspace: WorkspaceLayout) -> Finding:
    from runner.containers import labels

    filters = {"label": f"{labels.WORKSPACE}={workspace.root}"}
    left = [
        str(found["Names"][0]).lstrip("/")
        for found in client.containers(all=True, filters=filters)
        if is_over(workspace, str(found["Labels"].get(labels.RUN, "")))
    ]
    if left:
        return _warning("docker leftovers", f"a crash left {', '.join(left)}", "runner environment prune")
    return _fine("docker leftovers", "none")


def _fine(name: str, text: str) -> Finding:
    return Finding(name=name, level=Level.OK, brief="yes", detail=text)


def _warning(name: str, text: str, hint: str | None) -> Finding:
    return Finding(name=name, level=Level.WARN, brief="!", detail=f"{text}; try: {hint}" if hint else text, hint=hint)
