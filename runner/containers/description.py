"""Describes the two containers of a node to the engine. Pure: the same job gives the same descriptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.containers import labels
from runner.containers.engine import EngineFacts
from runner.containers.labels import Role
from runner.containers.options import RunOptions, size_bytes
from sidecar.contract import settings
from sidecar.contract.layout import NodeLayout
from sidecar.contract.orders import NodePlan

# Finds a Python for the sidecar in the image; what it prints goes to a file on the mount, since the image may have an
# ENTRYPOINT that prints as well. The exit code tells "no Python" from whatever else may end a container.
NO_PYTHON = 86
_SHELL = "/bin/sh"
_FIND_PYTHON = """exec 2>>"$1"
for python in python3 python python3.13 python3.12 python3.11 python3.10 python3.9 /opt/conda/bin/python3 \
/opt/miniconda/bin/python3 /usr/local/bin/python3 /usr/bin/python3; do
if command -v "$python" >/dev/null && "$python" -c 'import sys; sys.exit(sys.version_info < (3, 9))'; then
shift; exec "$python" -s -S -E -m sidecar "$@"; fi; done
exit {no_python}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """The image of a job: its id, a name for a person, and what of its configuration matters here."""

    id: str
    name: str
    entrypoint: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dwelling:
    """What all containers of one run have in common. `user` is `uid:gid`; `groups` are numbers."""

    workspace: str
    image: Image
    user: str
    groups: tuple[str, ...]
    facts: EngineFacts
    options: RunOptions
    shm_size: str
    network: str | None


def job_container(plan: NodePlan, node: NodeLayout, dwelling: Dwelling) -> dict[str, Any]:
    """The container that the processes of a node run in."""
    described = _container(plan, node, dwelling, Role.JOB)
    options = dwelling.options
    host = {**described["HostConfig"], "ShmSize": size_bytes(dwelling.shm_size)}
    if dwelling.facts.has_gpus and "DeviceRequests" not in options.host:
        host["DeviceRequests"] = [{"Count": -1, "Capabilities": [["gpu"]]}]
    if plan.wants_mpi:
        # MPIs read each other's memory; the engine's filter of system calls forbids that unless this is given.
        host["CapAdd"] = ["SYS_PTRACE"]
    for name, value in options.host.items():
        host[name] = [*host.get(name, ()), *value] if isinstance(value, list) else value
    described["HostConfig"] = host
    if dwelling.network is not None and "NetworkMode" not in options.host:
        host["NetworkMode"] = dwelling.network
        aliases = {"Aliases": [plan.node_id, labels.host_name(plan.node_id)]}
        described["NetworkingConfig"] = {"EndpointsConfig": {dwelling.network: aliases}}
    if host.get("NetworkMode") != "host":
        described["Hostname"] = options.hostname or labels.host_name(plan.node_id)
    described["Labels"] = {**options.labels, **described["Labels"]}
    host["Mounts"] = [*host["Mounts"], *_data_mounts(plan, host.get("Binds", ()))]
    return described


def sidecar_container(plan: NodePlan, node: NodeLayout, dwelling: Dwelling) -> dict[str, Any]:
    """The container that prepares and releases the node; it needs no network and no devices."""
    described = _container(plan, node, dwelling, Role.SIDECAR)
    described["HostConfig"]["NetworkMode"] = "none"
    return described


def _container(plan: NodePlan, node: NodeLayout, dwelling: Dwelling, role: Role) -> dict[str, Any]:
    part = "keeper" if role is Role.JOB else "attendant"
    find = _FIND_PYTHON.replace("{no_python}", str(NO_PYTHON))
    words = ["-c", find, "sh", str(node.container_words), part, plan.run_id, "--node", plan.node_id]
    entrypoint = _entrypoint(dwelling, role)
    return {
        "Image": dwelling.image.id,
        "Entrypoint": entrypoint,
        "Cmd": words if entrypoint == [_SHELL] else [_SHELL, *words],
        "User": dwelling.user,
        "WorkingDir": plan.bundle,
        # Of the job's own variables none: anybody who may ask the engine reads these.
        "Env": [f"HOME={node.home}", f"{settings.NODE_ROOT}={node.root}"],
        "Labels": labels.labels(dwelling.workspace, plan.run_id, plan.node_id, role),
        "HostConfig": {
            "Init": True,
            "Mounts": [_mount(path, read_only=read_only) for path, read_only in mounts(plan, node, role)],
            "GroupAdd": list(dwelling.groups),
            "SecurityOpt": ["label=disable"],
            "RestartPolicy": {"Name": "no"},
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "1"}},
            **({"UsernsMode": "host"} if dwelling.facts.remaps_users else {}),
        },
    }


def _entrypoint(dwelling: Dwelling, role: Role) -> Sequence[str] | None:
    """None: the image's own. The sidecar container needs nothing that an image's start may set up."""
    if role is Role.SIDECAR or dwelling.options.entrypoint == "":
        return [_SHELL]  # Not an empty one, by which Podman means the image's own.
    return None if dwelling.options.entrypoint is None else [dwelling.options.entrypoint]


def mounts(plan: NodePlan, node: NodeLayout, role: Role) -> list[tuple[str, bool]]:
    """(path, whether it may only be read) of what lies at the same place inside as outside."""
    places = [(str(node.root), False), (plan.run_root, False), (plan.snapshot_store, True), (plan.bundle, True)]
    if plan.has_inputs:
        places.append((str(plan.input_store.root), role is Role.JOB))
    return places


def _data_mounts(plan: NodePlan, binds: Sequence[str]) -> list[Mapping[str, Any]]:
    """The data of a job on this machine, but what a person mounts there: an engine takes one of them only."""
    taken = {bind.split(":")[1] for bind in binds if ":" in bind}
    return [
        _mount(path, read_only=is_read_only)
        for path, is_read_only in (plan.data.get("shared", ()) if plan.data else ())
        if path not in taken
    ]


def _mount(path: str, *, read_only: bool) -> Mapping[str, Any]:
    return {"Type": "bind", "Source": path, "Target": path, "ReadOnly": read_only}


def has_user(passwd: str, number: str) -> bool:
    """Whether a `/etc/passwd` (or `/etc/group`) knows the number."""
    return any(line.split(":")[2:3] == [number] for line in passwd.splitlines())


def passwd_line(name: str, user: str, home: Path) -> str:
    """A line of `/etc/passwd` for `user`, which is `uid:gid`."""
    return f"{name}:x:{user}::{home}:/bin/sh\n"
