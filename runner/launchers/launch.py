"""What every launcher works with: the facts that the nodes reported, and the command that a process runs."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from runner.launchers.placement import place
from runner.spec.request import MpiSpec, RunRequest, TensorflowSpec
from sidecar.contract import settings

_SHELL = "/bin/sh"
_BOOTSTRAP = "sidecar/injob/bootstrap.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyNode:
    """A node after job preparation. `bin_folder` goes in front of the PATH of what runs there.

    `programs` is the folder of the agent program for Open MPI; `network` and `interface` are those of
    `address`; None on this machine.
    """

    node_id: str
    address: str
    interpreter: str
    bin_folder: str | None
    bundle: str
    ports: tuple[int, ...]
    programs: str = ""
    network: str | None = None
    interface: str | None = None
    is_root: bool = False


def job_argv(request: RunRequest, node: ReadyNode) -> list[str]:
    """The command of a user process on `node`: the script behind its bootstrap, or the shell with `command`."""
    if request.command is not None:
        return [_SHELL, "-c", request.command]
    assert request.script is not None, "a request has a script or a command"
    return [node.interpreter, f"{node.bundle}/{_BOOTSTRAP}", request.script, *request.arguments]


def network_variables(node: ReadyNode) -> dict[str, str]:
    """Tells the libraries that would pick an interface by guessing (the first, or the host name's) which one it is."""
    if node.interface is None:
        return {}
    return dict.fromkeys(settings.SOCKET_INTERFACE, node.interface)


def what_runs(request: RunRequest) -> str:
    """The command as a person would type it, for a plan."""
    return request.command or shlex.join([request.script or "", *request.arguments])


def expands_variables(request: RunRequest) -> bool:
    """Whether the runner replaces `$NAME` in the arguments; with `command` the shell does."""
    return request.command is None


def port_count(request: RunRequest, node_rank: int, node_count: int) -> int:
    """How many free ports a node must hold ready: one for the rendezvous on the first, one a TensorFlow task."""
    if isinstance(request.distributed, TensorflowSpec):
        return sum(1 for process in place(request) if process.node_rank == node_rank)
    if isinstance(request.distributed, MpiSpec):
        return 0
    return 1 if node_rank == 0 and (request.distributed is not None or node_count > 1) else 0
