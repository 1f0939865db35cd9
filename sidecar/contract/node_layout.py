"""Builds every file and folder name of what a node keeps for one run, beside the run folder that it writes into."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class NodeLayout(NamedTuple):
    """What one node keeps for one run; removed by job release once everything was collected."""

    root: Path

    @classmethod
    def at(cls, folder: str) -> NodeLayout:
        """The layout of the node whose folder for the run is `folder`."""
        return cls(Path(folder))

    @property
    def discarded(self) -> Path:
        """What the folder is called while it is being removed; no agent takes it for a node's."""
        return self.root.with_name(f".{self.root.name}.discarded")

    @property
    def plan(self) -> Path:
        """The node's plan; created once, never changed: the start token of the node."""
        return self.root / "plan.json"

    @property
    def orders(self) -> Path:
        """Orders from the controller, one file each, created once."""
        return self.root / "orders"

    def order(self, name: str) -> Path:
        """One order; its name makes a second sending harmless."""
        return self.orders / f"{name}.json"

    @property
    def events(self) -> Path:
        """JSON lines: everything that happened on the node, in order."""
        return self.root / "events.jsonl"

    @property
    def supervisor_lock(self) -> Path:
        """Locked (flock) by the one live supervisor; holds its identity as JSON."""
        return self.root / "supervisor.lock"

    @property
    def supervisor_log(self) -> Path:
        """Whatever a supervisor prints, a traceback of its own included."""
        return self.root / "supervisor.log"

    @property
    def bell(self) -> Path:
        """FIFO: any byte written wakes the supervisor."""
        return self.root / "supervisor.bell"

    @property
    def agent_bell(self) -> Path:
        """FIFO: any byte written wakes the agent."""
        return self.root / "agent.bell"

    @property
    def keeper_lock(self) -> Path:
        """Locked (flock) as long as the node's job container lives; holds its keeper's identity as JSON."""
        return self.root / "keeper.lock"

    @property
    def attendant_lock(self) -> Path:
        """Locked (flock) as long as the node's sidecar container lives."""
        return self.root / "attendant.lock"

    @property
    def attendant_bell(self) -> Path:
        """FIFO: any byte written wakes the attendant."""
        return self.root / "attendant.bell"

    @property
    def steward_lock(self) -> Path:
        """Locked (flock) by the one live steward, which looks after the node's containers where it is a machine."""
        return self.root / "steward.lock"

    @property
    def steward_log(self) -> Path:
        """Whatever a steward prints."""
        return self.root / "steward.log"

    @property
    def steward_bell(self) -> Path:
        """FIFO: any byte written wakes the steward."""
        return self.root / "steward.bell"

    @property
    def container_words(self) -> Path:
        """What the containers of the node print before and beside their work."""
        return self.root / "container.log"

    @property
    def container_end(self) -> Path:
        """Why the job container is no more; once it exists nothing is started for the node, only cleaned up."""
        return self.root / "container-end.json"

    @property
    def attendant_end(self) -> Path:
        """Exists once the sidecar container is no more: its steps are done without it."""
        return self.root / "attendant-end.json"

    @property
    def handed(self) -> Path:
        """Steps that the supervisor handed to the attendant, and how each ended."""
        return self.root / "handed"

    @property
    def home(self) -> Path:
        """HOME of the processes in the node's containers."""
        return self.root / "home"

    @property
    def copy(self) -> Path:
        """The node's copy of the run folder, where it does not share that with the controller."""
        return self.root / "run"

    @property
    def reserve(self) -> Path:
        """Bytes kept free for the last words of a node whose disk is full."""
        return self.root / "reserve"

    @property
    def work(self) -> Path:
        """The job's working directory: the snapshot, and what the script writes."""
        return self.root / "work"

    def process(self, process_name: str) -> Path:
        """The folder of one process's records."""
        return self.root / "processes" / process_name

    @property
    def processes(self) -> Path:
        """Every process's records lie here."""
        return self.root / "processes"

    def started(self, process_name: str) -> Path:
        """Start token of a process: exists at most once, so nothing is started twice."""
        return self.process(process_name) / "started.json"

    def raised(self, process_name: str) -> Path:
        """The exception that ended the script, written before anything else can stop the process."""
        return self.process(process_name) / "raised.json"

    def exit(self, process_name: str) -> Path:
        """Exit record of a process."""
        return self.process(process_name) / "exit.json"

    def collected(self, folder: str) -> Path:
        """JSON lines: which paths of the run folder's `folder` this node has put there."""
        return self.root / f"collected-{folder}.jsonl"

    @property
    def inputs_found(self) -> Path:
        """Which data sets the node has under the same path as the submitting machine."""
        return self.root / "inputs.json"

    @property
    def data_variables(self) -> Path:
        """The environment variables that say where on this node the data of the job lie."""
        return self.root / "data.json"

    @property
    def launches(self) -> Path:
        """One file a node: the command that Open MPI wants run there."""
        return self.root / "launches"

    @property
    def programs(self) -> Path:
        """Programs that the runner gives to an MPI launcher."""
        return self.root / "programs"
