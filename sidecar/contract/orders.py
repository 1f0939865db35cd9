"""What a controller tells a node: the plan, once, and orders, each a file that can be created only once."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from sidecar.contract.stores import InputsLayout


class Verb(str, enum.Enum):
    """What an order asks for."""

    # Where the node is a machine with an engine of its own: done by its steward, the first without an order.
    ENGINE = "engine"
    IMAGE = "image"
    HOUSE = "house"
    BUILD = "build"
    INPUTS = "inputs"
    PREPARE = "prepare"
    MEET = "meet"
    START = "start"
    STOP = "stop"
    RELEASE = "release"
    QUIT = "quit"


# Order names sort in the order they are carried out; STOP is looked for first whatever its name.
ORDER_NAMES = {
    Verb.ENGINE: "01-engine",
    Verb.IMAGE: "03-image",
    Verb.HOUSE: "05-house",
    Verb.BUILD: "10-build",
    Verb.INPUTS: "15-inputs",
    Verb.PREPARE: "20-prepare",
    Verb.MEET: "25-meet",
    Verb.START: "30-start",
    Verb.STOP: "80-stop",
    Verb.RELEASE: "90-release",
    Verb.QUIT: "99-quit",
}
STEWARDS = frozenset({Verb.ENGINE, Verb.IMAGE, Verb.HOUSE})
# Second start order of an MPI run: the launcher's own helpers, known only once the launcher runs.
MPI_HELPERS_ORDER = "35-start-mpi"
START_ORDERS = (ORDER_NAMES[Verb.START], MPI_HELPERS_ORDER)


class ProcessSpec(NamedTuple):
    """One process to start on a node, as it travels in a start order.

    `argv[0]` is looked up on the PATH of `env`. With `expand`, `$NAME` and `${NAME}` in `argv[1:]` are replaced from
    the process's environment, unknown names left as they are (azureml-v1.md 1.1). `log` is relative to the run
    folder. `number` is the process's among all of the run, None for the only one. `path` are folders that go in front
    of PATH. `is_user` tells a user's process from the runner's own (an MPI launcher or its helper).
    """

    name: str
    argv: List[str]
    log: str
    env: Dict[str, str]
    number: Optional[int] = None
    expand: bool = False
    is_user: bool = True
    path: Tuple[str, ...] = ()

    def to_record(self) -> Dict[str, Any]:
        """As it stands in an order."""
        return self._asdict()


def process_spec(record: Mapping[str, Any]) -> ProcessSpec:
    """The process that `record` describes. Raises ValueError where a field is missing or unknown."""
    try:
        return ProcessSpec(**record)
    except TypeError as error:
        raise ValueError(f"not a process: {error}") from error


class NodePlan(NamedTuple):
    """Everything a node must know of a run before the first order; written once as `plan.json`.

    `run_root` is the folder with the layout of a run that the node writes into: the run folder itself on this
    machine. `about` is what the job is told of its run. `bundle` is the folder that holds the `sidecar` package.
    Durations are seconds. Where `is_remote`, the node writes into a copy that travels, and paths are relative to its
    work directory until `resolved`. Where `is_contained`, its supervisor lives in a container, with all paths as they
    are outside. `data`: `inputs`, a list of {name, listing, variables}; `outputs`, {variable: folder below the work
    folder}; `shared`, what containers of the submitting machine see besides: [path, whether it may only be read].
    """

    run_id: str
    experiment_name: str
    node_id: str
    node_rank: int
    node_count: int
    run_root: str
    bundle: str
    address: str
    snapshot_store: str
    snapshot_id: str
    environment: Dict[str, Any]
    environment_cache: str
    environment_variables: Dict[str, str]
    stop_grace_s: float
    max_run_duration_s: Optional[float]
    port_count: int
    wants_mpi: bool
    is_remote: bool = False
    about: Dict[str, Any] = {}  # noqa: RUF012 - never changed
    is_contained: bool = False
    data: Dict[str, Any] = {}  # noqa: RUF012 - never changed

    @property
    def meets(self) -> bool:
        """Whether the node has to find the others on a network."""
        return self.node_count > 1 and (self.is_remote or self.is_contained)

    @property
    def has_steward(self) -> bool:
        """Whether the containers are made on the node itself, by an engine that only it can reach."""
        return self.is_remote and self.is_contained

    @property
    def has_inputs(self) -> bool:
        """Whether data sets are brought to the node, or looked for there."""
        return bool(self.data and self.data["inputs"])

    @property
    def input_store(self) -> InputsLayout:
        """The node's store of data sets, beside that of its snapshots."""
        return InputsLayout.of(Path(self.snapshot_store).parent)

    def resolved(self, *, work: str, bundle: str) -> NodePlan:
        """The plan with absolute paths, as only the node itself can know them."""
        if not self.is_remote:
            return self
        return self._replace(
            run_root=f"{work}/{self.run_root}",
            bundle=bundle,
            snapshot_store=f"{work}/{self.snapshot_store}",
            environment_cache=f"{work}/{self.environment_cache}",
        )

    def to_record(self) -> Dict[str, Any]:
        """As it stands in `plan.json`."""
        return self._asdict()


def node_plan(record: Mapping[str, Any]) -> NodePlan:
    """The plan that `record` describes. Raises ValueError where a field is missing or unknown."""
    try:
        return NodePlan(**record)
    except TypeError as error:
        raise ValueError(f"not a node's plan: {error}") from error
