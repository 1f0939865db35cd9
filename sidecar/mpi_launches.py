"""Reads what an MPI launcher wants started on the nodes, so that the nodes need no SSH trust among themselves.

Hydra (`-launcher manual`) prints one line a node into its log. Open MPI calls an agent program, once a node, with the
node's name and a shell command: ours writes that command into a file and leaves.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from sidecar.contract import publish
from sidecar.contract.layout import NodeLayout

AGENT_PROGRAM = "scriptrun-launch"
_HYDRA_LINE = "HYDRA_LAUNCH: "
_HYDRA_FIRST_OPTION = " --control-port "
_HYDRA_END = "HYDRA_LAUNCH_END"
_AGENT_SCRIPT = """#!/bin/sh
# Called by Open MPI as: scriptrun-launch NODE COMMAND...; the runner starts the command on that node.
node=$1; shift
printf '%s' "$*" > {folder}/".$node.$$" && mv {folder}/".$node.$$" {folder}/"$node"
"""


def write_agent(layout: NodeLayout) -> Path:
    """Writes the agent program; its folder belongs on the launcher's PATH, since Open MPI splits a path at spaces."""
    layout.launches.mkdir(parents=True, exist_ok=True)
    path = layout.programs / AGENT_PROGRAM
    path.parent.mkdir(parents=True, exist_ok=True)
    script = _AGENT_SCRIPT.format(folder=shlex.quote(str(layout.launches)))
    publish.write_whole(path, script.encode("utf-8", "surrogateescape"), mode=0o700)
    return path


def from_hydra(log: Path) -> Optional[List[List[str]]]:
    """The argv of the proxies, in the order of the nodes; None until Hydra has said that these are all."""
    try:
        lines = log.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    if _HYDRA_END not in lines:
        return None
    return [_proxy_argv(line[len(_HYDRA_LINE) :]) for line in lines if line.startswith(_HYDRA_LINE)]


def _proxy_argv(command: str) -> List[str]:
    """Hydra writes the proxy's path as it is; a blank in it would end the program's name."""
    program, option, rest = command.partition(_HYDRA_FIRST_OPTION)
    return [program, *shlex.split(option + rest)] if option else shlex.split(command)


def from_agent(folder: Path, host_names: Sequence[str]) -> Optional[List[List[str]]]:
    """The argv of Open MPI's daemons, in the order of `host_names`; None until there is one for every node."""
    commands: Dict[str, str] = {}
    for host_name in host_names:
        path = folder / host_name
        try:
            commands[host_name] = path.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return None
    return [["/bin/sh", "-c", commands[host_name]] for host_name in host_names]


def is_hydra(flavour: str) -> bool:
    """Whether the launcher of `flavour` is Hydra."""
    return flavour in ("MPICH", "Intel MPI")


def wanted(flavour: str, *, log: Path, layout: NodeLayout, host_names: Sequence[str]) -> Optional[List[List[str]]]:
    """The argv of the helper for each of `host_names`; None while the launcher has not asked for all of them."""
    if is_hydra(flavour):
        return from_hydra(log)
    return from_agent(layout.launches, host_names) if os.path.isdir(layout.launches) else None
