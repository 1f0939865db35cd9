"""MPI through the MPI's own launcher, whose helpers our sidecars start: no SSH between nodes.

    first node:  mpiexec ----asks for---> one helper a node (Hydra's proxy, Open MPI's daemon)
    every node:  supervisor -> wrapper -> helper -> wrapper (asks the MPI for its rank, opens the log) -> the script

MPICH is the better default: four ranks start in a fifth of Open MPI's time here, its ranks need no flags as root or
past the core count, and Hydra can print its helpers' commands instead of calling an agent program.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.errors import MachineError
from runner.launchers.launch import ReadyNode, expands_variables, job_argv, network_variables
from runner.launchers.placement import place
from runner.spec.request import RunRequest
from sidecar.contract import settings
from sidecar.contract.layout import AZUREML_LOGS, MPI_LAUNCHER, RunLayout, mpi_proxy_name
from sidecar.contract.orders import ProcessSpec

MPICH = "MPICH"
OPEN_MPI = "Open MPI"
INTEL_MPI = "Intel MPI"

# What a rank runs is found through the node's own variables, so that one command fits nodes with other folders.
_RANK_COMMAND = (
    f'cd "${settings.SIDECAR_BUNDLE}" && '
    f'exec "${settings.SIDECAR_PYTHON}" -s -S -E -m sidecar rank "${settings.MARK_RUN}" --node "${settings.MARK_NODE}"'
)
_RANK_ARGV = ("/bin/sh", "-c", _RANK_COMMAND)
_AGENT_PROGRAM = "scriptrun-launch"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundMpi:
    """The MPI of the first node. `flavour` is MPICH, Open MPI or Intel MPI."""

    mpiexec: str
    flavour: str
    version: str

    @property
    def is_open_mpi_4(self) -> bool:
        """Whether the launcher is ORTE (Open MPI up to 4), not PRRTE."""
        return self.flavour == OPEN_MPI and self.version.split(".")[0] in ("1", "2", "3", "4")


def launcher(request: RunRequest, nodes: Sequence[ReadyNode], mpi: FoundMpi) -> ProcessSpec:
    """The launcher's own process, for the first node."""
    count = len(place(request))
    slots = ",".join(f"{name}:{count // len(nodes)}" for name in host_names(nodes))
    if mpi.flavour == OPEN_MPI:
        argv, environ = _open_mpi(mpi, slots, count, networks=_networks(nodes), is_root=nodes[0].is_root)
    else:
        argv, environ = _hydra(mpi, slots, count, address=nodes[0].address), {}
    environ[settings.AZ_BATCHAI_MPI_MASTER_NODE] = nodes[0].address
    return ProcessSpec(
        name=MPI_LAUNCHER,
        argv=[*argv, *_RANK_ARGV],
        log=f"{AZUREML_LOGS}/{RunLayout.at('.').mpi_log.name}",
        env=environ,
        is_user=False,
        path=(nodes[0].programs,),
    )


def host_names(nodes: Sequence[ReadyNode]) -> list[str]:
    """What the launcher is told that the nodes are called.

    Nobody resolves these names, and none may be a machine's own: for itself Open MPI asks for no helper.
    """
    return [f"scriptrun-{number}" for number in range(len(nodes))]


def _hydra(mpi: FoundMpi, slots: str, count: int, *, address: str) -> list[str]:
    """`-envnone`: ranks take the environment of their own node's helper, not the first node's."""
    return [
        mpi.mpiexec,
        *("-launcher", "manual"),
        *("-localhost", address),
        *("-hosts", slots),
        "-envnone",
        *("-wdir", "/"),
        *("-n", str(count)),
    ]


def _open_mpi(
    mpi: FoundMpi, slots: str, count: int, *, networks: str | None, is_root: bool
) -> tuple[list[str], dict[str, str]]:
    """`no_tree_spawn`: by default one node starts the next, which needs trust among all of them."""
    if mpi.is_open_mpi_4:
        agent = [
            *("--mca", "plm_rsh_agent", _AGENT_PROGRAM),
            *("--mca", "plm_rsh_no_tree_spawn", "1"),
            # Daemons that start at different moments otherwise cannot find each other.
            *("--mca", "routed", "direct"),
            *("--mca", "orte_keep_fqdn_hostnames", "1"),
            *("--mca", "plm", "rsh"),
        ]
    else:
        agent = [
            *("--prtemca", "plm_ssh_agent", _AGENT_PROGRAM),
            *("--prtemca", "plm_ssh_no_tree_spawn", "1"),
            *("--prtemca", "plm", "ssh"),
        ]
    argv = [
        mpi.mpiexec,
        *agent,
        "--leave-session-attached",
        *("--host", slots),
        *("--bind-to", "none"),
        "--oversubscribe" if mpi.is_open_mpi_4 else "--map-by",
        *(() if mpi.is_open_mpi_4 else ("slot:OVERSUBSCRIBE",)),
        *("--wdir", "/"),
        *("-n", str(count)),
    ]
    environ: dict[str, str] = {}
    shared = "self,vader,tcp" if mpi.is_open_mpi_4 else "self,sm,tcp"
    if is_root:
        argv.insert(1, "--allow-run-as-root")
    if networks is not None:
        # A node may have networks that lead nowhere (docker0), or to itself; Open MPI would try them all.
        argv[1:1] = _open_mpi_networks(mpi, networks)
        environ["OMPI_MCA_btl_tcp_if_include"] = networks
    else:
        # Simulated nodes meet on the loopback only; the plain transports start five times faster than probing for
        # fabrics that one machine does not need (peer-baselines.md).
        environ |= {
            "OMPI_MCA_pml": "ob1",
            # Ranks of two simulated nodes would take each other's shared-memory files for their own, and crash.
            "OMPI_MCA_btl": "self,tcp" if "," in slots else shared,
            # Its hierarchical collectives take all ranks of one host name for one node, and wait for ever.
            "OMPI_MCA_coll": "^han",
            # Simulated nodes share the cores: a rank that waits must not keep the one it waits for from running.
            "OMPI_MCA_mpi_yield_when_idle": "1",
            "OMPI_MCA_btl_tcp_if_include": "lo",
        }
    return argv, environ


def _open_mpi_networks(mpi: FoundMpi, networks: str) -> list[str]:
    """The networks on which the launcher's daemons find each other."""
    if mpi.is_open_mpi_4:
        return ["--mca", "oob_tcp_if_include", networks]
    return ["--prtemca", "prte_if_include", networks, "--pmixmca", "ptl_tcp_if_include", networks]


def _networks(nodes: Sequence[ReadyNode]) -> str | None:
    """The networks that the nodes meet on, `10.0.0.0/24,...`; None where all of them are on this machine."""
    found = sorted({node.network for node in nodes if node.network})
    return ",".join(found) or None


def helpers(nodes: Sequence[ReadyNode], argvs: Sequence[Sequence[str]], mpi: FoundMpi) -> list[list[ProcessSpec]]:
    """The launcher's helpers to start on each node. Raises MachineError where their number is not the nodes'."""
    if len(argvs) != len(nodes):
        raise MachineError(
            f"the MPI launcher wants {len(argvs)} helpers for {len(nodes)} nodes",
            hint=f"look into {AZUREML_LOGS}/{RunLayout.at('.').mpi_log.name}",
        )
    return [
        [
            ProcessSpec(
                name=mpi_proxy_name(number),
                argv=[_at_home(word, nodes[0], nodes[number]) for word in argv],
                log=f"{AZUREML_LOGS}/{RunLayout.at('.').mpi_log.name}",
                env=_own_place(nodes[number]) if mpi.is_open_mpi_4 else {},
                is_user=False,
                # Open MPI's daemons look for the agent program, too.
                path=(nodes[number].programs,),
            )
        ]
        for number, argv in enumerate(argvs)
    ]


def _own_place(node: ReadyNode) -> dict[str, str]:
    """Daemons of Open MPI 4 that start on one machine in one moment fail over each other's folders in /tmp."""
    if not node.address.startswith("127."):
        return {}  # A machine of its own; its work directory may be on a network, where these folders should not be.
    return {"OMPI_MCA_orte_tmpdir_base": os.path.join(os.path.dirname(node.programs), "mpi")}


def _at_home(word: str, first: ReadyNode, node: ReadyNode) -> str:
    """A word of a helper's command with the first node's environment replaced by the node's own."""
    if not first.bin_folder or not node.bin_folder or first.bin_folder == node.bin_folder:
        return word
    return word.replace(os.path.dirname(first.bin_folder) + "/", os.path.dirname(node.bin_folder) + "/")


def ranks(request: RunRequest, node: ReadyNode) -> dict[str, Any]:
    """What every rank on `node` runs, as it travels beside the order for the helper."""
    return {
        "argv": job_argv(request, node),
        "env": network_variables(node),
        "expand": expands_variables(request),
        "count": len(place(request)),
        "bin": node.bin_folder,
    }


def found_mpi(record: Mapping[str, Any]) -> FoundMpi:
    """The MPI as a node's job preparation reported it."""
    return FoundMpi(mpiexec=record["mpiexec"], flavour=record["flavour"], version=record["version"])
