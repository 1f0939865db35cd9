"""Reads how many processes run where: `distributed_job_config`, or RunConfiguration's framework and communicator."""

from __future__ import annotations

from runner.spec.compute import ComputeTarget, LocalTarget
from runner.spec.distributed import COUNT_LIMIT, DistributedSpec, MpiSpec, PyTorchSpec, TensorflowSpec
from runner.spec.keys import DISTRIBUTED, MPI, PYTORCH, TENSORFLOW, Keys
from runner.spec.section import Section, chosen
from runner.spec.tree import at

_TYPES: dict[str, Keys] = {"Mpi": MPI, "PyTorch": PYTORCH, "Tensorflow": TENSORFLOW}
_COMMUNICATORS = {
    "none": None,
    "intelmpi": "Mpi",
    "openmpi": "Mpi",
    "nccl": "PyTorch",
    "gloo": "PyTorch",
    "parameterserver": "Tensorflow",
}
_FRAMEWORKS = ("python", "pytorch", "tensorflow", "pyspark", "cntk")
_SECTIONS: dict[str, tuple[str, Keys]] = {
    "Mpi": ("mpi", MPI),
    "PyTorch": ("pytorch", PYTORCH),
    "Tensorflow": ("tensorflow", TENSORFLOW),
}


def read_distributed(
    top: Section, target: ComputeTarget, warnings: list[str]
) -> tuple[DistributedSpec | None, int | None]:
    """The launcher with its counts, and the number of nodes where there is no launcher. Raises ConfigError.

    A count of nodes that is left out is that of a local target that says one, else 1.
    """
    plain = top.integer("node_count", minimum=1, maximum=COUNT_LIMIT)
    kind = _communicator(top)
    _check_framework(top, warnings)
    if "distributed_job_config" in top:
        if kind is not None:
            raise top.place_of("communicator").error(
                "'communicator' and 'distributed_job_config' are both given", hint="keep distributed_job_config"
            )
        return _job_config(top, plain, target), None
    _warn_of_unused(top, kind, warnings)
    if kind is None:
        return None, plain
    name, keys = _SECTIONS[kind]
    section = top.section(name, keys)
    backend = top.text("communicator") if kind == "PyTorch" else None
    return _spec(kind, section, plain, target, backend=backend), None


def _job_config(top: Section, plain: int | None, target: ComputeTarget) -> DistributedSpec:
    value = top.mapping("distributed_job_config")
    kind = None if value is None else chosen(value, "type", _TYPES)
    keys = DISTRIBUTED if kind is None else {"type": None, **_TYPES[kind]}
    section = top.section("distributed_job_config", keys)
    if kind is None:
        written = section.written("type")
        found = "is missing" if written is None else f"is '{written}'"
        raise section.place_of("type").error(
            f"'distributed_job_config.type' {found}", hint=f"one of {', '.join(_TYPES)}"
        )
    return _spec(kind, section, plain, target, backend=None)


def _spec(
    kind: str, section: Section, plain: int | None, target: ComputeTarget, *, backend: str | None
) -> DistributedSpec:
    if kind == "Tensorflow":
        return _tensorflow(section, plain, target)
    nodes = _node_count(section, plain, target)
    if kind == "Mpi":
        per_node = _count(section, "process_count_per_node") or 1
        return at(section.place, lambda: MpiSpec(process_count_per_node=per_node, node_count=nodes))
    total, per_node_or_none = _count(section, "process_count"), _count(section, "process_count_per_node")
    written = backend or section.text("communication_backend")
    place = section.place_of("process_count" if total is not None else "communication_backend")
    return at(
        place,
        lambda: PyTorchSpec.of(
            communication_backend=written,
            process_count=total,
            process_count_per_node=per_node_or_none,
            node_count=nodes,
        ),
    )


def _tensorflow(section: Section, plain: int | None, target: ComputeTarget) -> TensorflowSpec:
    workers = _count(section, "worker_count")
    servers = section.integer("parameter_server_count", minimum=0, maximum=COUNT_LIMIT)
    count = workers or plain or _nodes_of(target)
    if plain not in (None, 1, count):
        raise section.place_of("worker_count").error(f"worker_count {count} is not node_count {plain}")
    return TensorflowSpec(worker_count=count, parameter_server_count=1 if servers is None else servers)


def _node_count(section: Section, plain: int | None, target: ComputeTarget) -> int:
    """RunConfiguration says the number of nodes twice; a generated file leaves 1 in the one that was not edited."""
    given = _count(section, "node_count")
    if given not in (None, 1) and plain not in (None, 1) and given != plain:
        raise section.place_of("node_count").error(f"node_count is {given} here, and {plain} at the top")
    if given is None and plain is None:
        return _nodes_of(target)
    return max(given or 1, plain or 1)


def _nodes_of(target: ComputeTarget) -> int:
    return target.node_count or 1 if isinstance(target, LocalTarget) else 1


def _count(section: Section, key: str) -> int | None:
    return section.integer(key, minimum=1, maximum=COUNT_LIMIT)


def _communicator(top: Section) -> str | None:
    written = top.text("communicator")
    if written is None:
        return None
    if written.lower() not in _COMMUNICATORS:
        raise top.wrong("communicator", "one of None, IntelMpi, OpenMpi, nccl, gloo, ParameterServer")
    return _COMMUNICATORS[written.lower()]


def _check_framework(top: Section, warnings: list[str]) -> None:
    written = top.text("framework")
    if written is None:
        return
    if written.lower() not in _FRAMEWORKS:
        raise top.wrong("framework", "one of Python, PyTorch, TensorFlow, PySpark, CNTK")
    if written.lower() in ("pyspark", "cntk"):
        warnings.append(f"{top.place_of('framework')}: framework {written} is run as plain Python")


def _warn_of_unused(top: Section, kind: str | None, warnings: list[str]) -> None:
    for used_by, (name, keys) in _SECTIONS.items():
        if used_by == kind or name not in top:
            continue
        section = top.section(name, keys)
        changed = [key for key in keys if section.written(key) not in (None, "1") and key != "communication_backend"]
        if changed:
            warnings.append(
                f"{section.place_of(changed[0])}: '{name}.{changed[0]}' is not used, because 'communicator' does not "
                f"ask for {used_by}"
            )
