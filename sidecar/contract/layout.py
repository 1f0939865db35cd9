"""Builds and parses every file and folder name of a workspace, a run and a node (DESIGN section 3).

<workspace>/
  runs/<run_id>/            RunLayout: what a person reads, and `.state/`, what the runner itself keeps
  snapshots/                file contents by hash, and a manifest a snapshot
  environments/<key>/       built virtual environments
  nodes/<node_id>/<run_id>/ NodeLayout of a local node; on an SSH node it lies below that node's work directory
  bundles/                  what is shipped to nodes, by content hash
  wheels/                   wheels that a person put there, for nodes that this machine's own packages do not fit
  known_hosts               keys of machines that a person accepted for this workspace
  compute/<name>.yml, history.db
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple, Optional

from sidecar.contract.node_layout import NodeLayout as NodeLayout
from sidecar.contract.stores import MirrorLayout

AZUREML_LOGS = "azureml-logs"
# How the names of the logs begin that hold the user's own output, and the build that it may wait for; of a sweep what
# it did.
USER_OUTPUT_PREFIXES = ("20_", "70_driver", "hyperdrive")
SYSTEM_LOGS = "logs/azureml"
USER_LOGS = "logs"
OUTPUTS = "outputs"
# Files that a script uploaded under a name outside `outputs/` and `logs/`; and those of its child runs.
ARTIFACTS = "artifacts"
CHILDREN = "children"
STATE = ".state"
MAIN = "main"
MPI_LAUNCHER = "mpi_launcher"
EVERY_PROCESS = "*"

_RUN_ID = re.compile(r"^(?P<experiment>[A-Za-z0-9][\w-]{0,254})_(?P<seconds>\d+)_(?P<suffix>[0-9a-f]{8})$", re.ASCII)
_EXPERIMENT = re.compile(r"^[A-Za-z0-9][\w-]{0,254}$", re.ASCII)
_NODE_ID = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")
_PROCESS = re.compile(r"^(?:main|mpi_launcher|mpi_proxy_\d+|(?:rank|worker|ps)_\d+)$")
_DRIVER_LOG = re.compile(r"^70_driver_log(?:_(?P<index>\d+))?\.txt$")


def new_run_id(experiment_name: str, *, epoch_s: int, suffix: Optional[str] = None) -> str:
    """A run id `<experiment>_<epoch seconds>_<8 hex>`; the suffix is random unless given."""
    return f"{experiment_name}_{epoch_s}_{suffix or os.urandom(4).hex()}"


def is_run_id(text: str) -> bool:
    """Whether `text` has the form of a whole run id."""
    return _RUN_ID.match(text) is not None


def run_id_seconds(run_id: str) -> int:
    """The second at which a run was made, as its id says; -1 where `run_id` is no run id."""
    found = _RUN_ID.match(run_id)
    return int(found["seconds"]) if found else -1


def is_experiment_name(text: str) -> bool:
    """Whether Azure ML v1 would take `text` as an experiment's name (1 to 255 of letters, digits, `_`, `-`)."""
    return _EXPERIMENT.match(text) is not None


def is_node_id(text: str) -> bool:
    """Whether `text` can stand in a file name as a node's id."""
    return _NODE_ID.match(text) is not None


def is_process_name(text: str) -> bool:
    """Whether `text` is one of the process names a run can have."""
    return _PROCESS.match(text) is not None


def local_node_id(index: int) -> str:
    """The id of the `index`-th simulated node of this machine."""
    return f"local-{index}"


def compute_file_name(name: str) -> str:
    """The name of the compute file of the target called `name`."""
    return f"{name}.yml"


def compute_name(file_name: str) -> Optional[str]:
    """The target that a compute file called `file_name` describes; None where that is no compute file's name."""
    stem, dot, ending = file_name.rpartition(".")
    return stem if dot and ending == "yml" and is_node_id(stem) else None


def mpi_proxy_name(index: int) -> str:
    """The name of the MPI launcher's helper on the `index`-th node (Hydra's proxy, Open MPI's daemon)."""
    return f"mpi_proxy_{index}"


def driver_log_name(index: Optional[int]) -> str:
    """`70_driver_log.txt` for the only process of a run (None), `70_driver_log_<n>.txt` for one of several."""
    return "70_driver_log.txt" if index is None else f"70_driver_log_{index}.txt"


def driver_log_index(file_name: str) -> Optional[int]:
    """The process index in a driver log's name; None where it has none or is no driver log."""
    found = _DRIVER_LOG.match(file_name)
    return int(found["index"]) if found and found["index"] else None


def is_driver_log(file_name: str) -> bool:
    """Whether `file_name` (no folder) is the log of a user process."""
    return _DRIVER_LOG.match(file_name) is not None


class WorkspaceLayout(NamedTuple):
    """The places in a workspace; nothing is created by naming them."""

    root: Path

    @property
    def runs(self) -> Path:
        """Every run's folder lies here."""
        return self.root / "runs"

    @property
    def snapshots(self) -> Path:
        """The content-addressed store of source folders."""
        return self.root / "snapshots"

    @property
    def environments(self) -> Path:
        """Virtual environments by content hash, each beside its lock file."""
        return self.root / "environments"

    @property
    def bundles(self) -> Path:
        """What is shipped to nodes; on a node, what was shipped to it."""
        return self.root / "bundles"

    @property
    def wheels(self) -> Path:
        """Wheels of psutil and watchdog for nodes that this machine's own do not fit; a person puts them there."""
        return self.root / "wheels"

    @property
    def known_hosts(self) -> Path:
        """Host keys, in the format of OpenSSH's file of that name; only ever appended to."""
        return self.root / "known_hosts"

    @property
    def compute(self) -> Path:
        """Compute files, one a target."""
        return self.root / "compute"

    @property
    def nodes(self) -> Path:
        """Work directories of this machine's simulated nodes."""
        return self.root / "nodes"

    @property
    def history(self) -> Path:
        """The SQLite index over the run folders; it can be rebuilt from them."""
        return self.root / "history.db"

    def run(self, run_id: str) -> RunLayout:
        """The folder of one run."""
        return RunLayout(self.runs / run_id)

    def compute_file(self, name: str) -> Path:
        """The compute file of the target called `name`."""
        return self.compute / compute_file_name(name)

    def node(self, node_id: str, run_id: str) -> NodeLayout:
        """What a simulated node keeps for one run."""
        return NodeLayout(self.nodes / node_id / run_id)


class RunLayout(NamedTuple):
    """The places in one run's folder."""

    root: Path

    @classmethod
    def at(cls, folder: str) -> RunLayout:
        """The layout of the run whose folder is `folder`."""
        return cls(Path(folder))

    @property
    def record(self) -> Path:
        """The run's record."""
        return self.root / "run.json"

    @property
    def azureml_logs(self) -> Path:
        """The folder of the numbered logs."""
        return self.root / AZUREML_LOGS

    @property
    def system_logs(self) -> Path:
        """The folder of the runner's own finer logs."""
        return self.root / SYSTEM_LOGS

    @property
    def user_logs(self) -> Path:
        """What the script wrote to `logs/`."""
        return self.root / USER_LOGS

    @property
    def outputs(self) -> Path:
        """What the script wrote to `outputs/`."""
        return self.root / OUTPUTS

    def child(self, run_id: str) -> RunLayout:
        """The files of a child run, which the job that made it keeps below its own."""
        return RunLayout(self.root / CHILDREN / run_id)

    @property
    def image_build_log(self) -> Path:
        """The build of the environment; absent after a cache hit."""
        return self.azureml_logs / "20_image_build_log.txt"

    def execution_log(self, node_id: str) -> Path:
        """What the runner did to secure one node."""
        return self.azureml_logs / f"55_azureml-execution-{node_id}.txt"

    def job_prep_log(self, node_id: str) -> Path:
        """Job preparation on one node."""
        return self.azureml_logs / f"65_job_prep-{node_id}.txt"

    def driver_log(self, index: Optional[int]) -> Path:
        """Standard output and error of one user process, in order."""
        return self.azureml_logs / driver_log_name(index)

    @property
    def mpi_log(self) -> Path:
        """What the MPI launcher itself prints."""
        return self.azureml_logs / "70_mpi_log.txt"

    def job_post_log(self, node_id: str) -> Path:
        """Job release on one node."""
        return self.azureml_logs / f"75_job_post-{node_id}.txt"

    @property
    def process_info(self) -> Path:
        """One JSON line a process: who, where, which log."""
        return self.azureml_logs / "process_info.json"

    @property
    def process_status(self) -> Path:
        """JSON lines: every process's changes of state."""
        return self.azureml_logs / "process_status.json"

    @property
    def job_prep_system_log(self) -> Path:
        """Python logging of job preparation, every node."""
        return self.system_logs / "job_prep_azureml.log"

    @property
    def job_release_system_log(self) -> Path:
        """Python logging of job release, every node."""
        return self.system_logs / "job_release_azureml.log"

    def process_system_log(self, pid: int, index: Optional[int]) -> Path:
        """Python logging of the in-job API in one process."""
        return self.system_logs / (f"{pid}_azureml.log" if index is None else f"{index}_{pid}_azureml.log")

    def sidecar_logs(self, node_id: str) -> Path:
        """The sidecar's own three files for one node lie here."""
        return self.system_logs / "sidecar" / node_id

    def start_cms(self, node_id: str) -> Path:
        """What started with the sidecar."""
        return self.sidecar_logs(node_id) / "start_cms.txt"

    def prep_cmd(self, node_id: str) -> Path:
        """What job preparation entered."""
        return self.sidecar_logs(node_id) / "prep_cmd.txt"

    def release_cmd(self, node_id: str) -> Path:
        """What job release left."""
        return self.sidecar_logs(node_id) / "release_cmd.txt"

    @property
    def failure(self) -> Path:
        """Root cause of a failed run."""
        return self.system_logs / "failure.json"

    @property
    def manifest(self) -> Path:
        """Every collected file with size, sha256, and whether it is complete."""
        return self.system_logs / "manifest.json"

    @property
    def state(self) -> Path:
        """What the runner keeps for itself; a person need not look here."""
        return self.root / STATE

    @property
    def controller_lock(self) -> Path:
        """Locked (flock) by the one live controller; holds its identity as JSON."""
        return self.state / "controller.lock"

    @property
    def controller_log(self) -> Path:
        """Whatever a controller prints, a traceback of its own included."""
        return self.state / "controller.log"

    @property
    def controller_crash(self) -> Path:
        """How often controllers ended by an error of their own in one status, and by which; absent where none did."""
        return self.state / "controller-crash.json"

    @property
    def mirror(self) -> MirrorLayout:
        """What the process that copies the run to an MLflow server keeps."""
        return MirrorLayout(self.state)

    @property
    def controller_bell(self) -> Path:
        """FIFO: any byte written wakes the controller."""
        return self.state / "controller.bell"

    @property
    def cancel_request(self) -> Path:
        """Exists once somebody asked for the run to be canceled."""
        return self.state / "cancel.json"

    @property
    def abandon_request(self) -> Path:
        """Exists once somebody asked not to wait for nodes that are out of reach."""
        return self.state / "abandon.json"

    @property
    def closing(self) -> Path:
        """How the phases went, and the census by node: once it exists, nothing of the run is started any more."""
        return self.state / "closing.json"

    @property
    def sealing(self) -> Path:
        """How far the manifest is, while that takes long."""
        return self.state / "sealing.json"

    def node_events(self, node_id: str) -> Path:
        """JSON lines as they came from one node's supervisor."""
        return self.state / "nodes" / f"{node_id}.jsonl"

    def node_contact(self, node_id: str) -> Path:
        """What is wrong with a node: out of reach, since when and why, or a full disk; absent while nothing is."""
        return self.state / "nodes" / f"{node_id}.contact.json"

    def node_clock(self, node_id: str) -> Path:
        """How far a node's clocks are from the submitting machine's, as measured best."""
        return self.state / "nodes" / f"{node_id}.clock.json"

    @property
    def claims(self) -> Path:
        """JSON lines: which node's file has a path that several nodes may write."""
        return self.state / "claims.jsonl"

    @property
    def seals(self) -> Path:
        """What each node that is reached over a network had at its end."""
        return self.state / "seals"

    def seal(self, node_id: str) -> Path:
        """JSON lines: every file of one node with size and sha256, then how many there are."""
        return self.seals / f"{node_id}.jsonl"

    @property
    def time_indexes(self) -> Path:
        """The folder of the time indexes."""
        return self.state / "index"

    def time_index(self, log_name: str) -> Path:
        """The (offset, wall clock) index of one file of `azureml-logs/`."""
        return self.time_indexes / f"{log_name}.idx"

    @property
    def metrics(self) -> Path:
        """One JSON Lines file a process, appended by the in-job API."""
        return self.state / "metrics"

    def process_metrics(self, process_name: str) -> Path:
        """What one process said of the run: metrics, tags, child runs (docs/metrics.md)."""
        return self.metrics / f"{process_name}.jsonl"

    def process_loss(self, process_name: str) -> Path:
        """Exists, and is empty, once a process could not write what it had to say."""
        return self.metrics / f"{process_name}.lost"

    @property
    def children(self) -> Path:
        """JSON lines: the id of every child run, as `run_id`."""
        return self.state / "children.jsonl"

    @property
    def job_context(self) -> Path:
        """What the submitter tells the job of its run."""
        return self.state / "job.json"
