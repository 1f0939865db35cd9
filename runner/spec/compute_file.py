"""Reads where a job runs: `local`, the name of a compute file, or a mapping as a compute file holds it."""

from __future__ import annotations

import itertools
import os
import re
from functools import partial
from pathlib import Path

from runner.errors import UsageError
from runner.spec.compute import (
    DEFAULT_WORK_DIRECTORY,
    HOST_KEY_POLICIES,
    LOCAL,
    STRICT,
    ComputeTarget,
    LocalTarget,
    SshNode,
    SshTarget,
    first_double,
)
from runner.spec.distributed import COUNT_LIMIT
from runner.spec.document import read_document
from runner.spec.keys import COMPUTE_TARGET, LOCAL_TARGET, SSH_NODE, SSH_TARGET
from runner.spec.places import absolute
from runner.spec.section import Section, chosen
from runner.spec.tree import Kind, ListValue, MapValue, Place, Scalar, Value, at
from sidecar.contract.layout import compute_file_name, compute_name, is_node_id

NODE_LIMIT = 10_000  # of one range: a typing error in a range is refused before it fills the memory
_BRACKETS = re.compile(r"\[([^\[\]]*)\]")
_RANGE = re.compile(r"^(\d+)(?:-(\d+))?$", re.ASCII)
_TYPES = {LOCAL: LOCAL_TARGET, "ssh": SSH_TARGET}


def read_compute_file(path: Path) -> ComputeTarget:
    """The target that a compute file describes; its name is the file's. Raises ConfigError."""
    return _target(read_document(path), name=path.stem, folder=str(path.absolute().parent), path="")


def known_targets(compute_directory: Path | None) -> tuple[str, ...]:
    """The names that `compute_target` may have: `local`, then the compute files, sorted."""
    if compute_directory is None:
        return (LOCAL,)
    try:
        names = {compute_name(name) for name in os.listdir(compute_directory)}
    except OSError:  # no folder yet: no compute files
        return (LOCAL,)
    return (LOCAL, *sorted(name for name in names if name and name != LOCAL))


def read_named_target(name: str, compute_directory: Path | None, *, place: Place | None = None) -> ComputeTarget:
    """The target called `name`. Raises ConfigError at `place` where there is none, listing those that there are."""
    if name == LOCAL:
        return LocalTarget()
    known = known_targets(compute_directory)
    if name in known and compute_directory is not None:
        return read_compute_file(compute_directory / compute_file_name(name))
    from difflib import get_close_matches

    near = get_close_matches(name, known, n=1)
    asked = f"; did you mean '{near[0]}'?" if near else ""
    where = "" if compute_directory is None else f" (compute files lie in {compute_directory})"
    place = place or Place(source="compute target")
    raise place.error(f"there is no compute target '{name}'{asked}", hint=f"one of {', '.join(known)}{where}")


def read_target(value: Value, *, folder: str, compute_directory: Path | None, path: str) -> ComputeTarget:
    """The target that the value of `compute_target` names or describes. Relative paths are relative to `folder`."""
    if isinstance(value, MapValue):
        return _target(value, name=None, folder=folder, path=path)
    if not isinstance(value, Scalar) or value.kind is not Kind.TEXT:
        raise value.place.error(f"'{path}' must be a name or a mapping, found {value.found}", hint=f"{path}: local")
    return read_named_target(value.text, compute_directory, place=value.place)


def _target(value: MapValue, *, name: str | None, folder: str, path: str) -> ComputeTarget:
    kind = chosen(value, "type", _TYPES)
    section = Section(value, keys=COMPUTE_TARGET if kind is None else _TYPES[kind], path=path)
    if kind is None:
        written = section.written("type")
        found = "is missing" if written is None else f"is '{written}'"
        raise section.place_of("type").error(f"'{section.path_of('type')}' {found}", hint=f"one of {', '.join(_TYPES)}")
    name = section.text("name") or name or kind
    if not is_node_id(name):
        raise section.place_of("name").error(f"'{name}' cannot be the name of a compute target")
    if kind == LOCAL:
        count = section.integer("node_count", minimum=1, maximum=COUNT_LIMIT)
        return LocalTarget(name=name, node_count=count)
    return _ssh_target(section, name, folder)


def _ssh_target(section: Section, name: str, folder: str) -> SshTarget:
    policy = section.text("host_key_policy") or STRICT
    if policy not in HOST_KEY_POLICIES:
        raise section.wrong("host_key_policy", f"one of {', '.join(HOST_KEY_POLICIES)}")
    work_directory = section.text("work_directory") or DEFAULT_WORK_DIRECTORY
    if not work_directory.startswith(("/", "~/")):
        raise section.wrong("work_directory", "a path on the node that begins with '/' or '~/'")
    return SshTarget(
        name=name,
        nodes=_nodes(section),
        username=section.written("username"),
        private_key_file=_key_file(section, folder),
        ssh_port=_port(section),
        host_key_policy=policy,
        work_directory=work_directory,
    )


def _key_file(section: Section, folder: str) -> str | None:
    written = section.text("private_key_file")
    if written is None:
        return None
    path = absolute(written, folder)
    if not os.path.isfile(path):
        raise section.place_of("private_key_file").error(
            f"there is no private key {path}", hint="leave private_key_file out to use the agent and ~/.ssh/config"
        )
    return path


def _port(section: Section) -> int | None:
    return section.integer("ssh_port", minimum=1, maximum=65535)


def _nodes(section: Section) -> tuple[SshNode, ...]:
    value = section.value("nodes")
    if not isinstance(value, ListValue):
        found = "is missing" if value is None else f"must be a list, found {value.found}"
        raise section.place_of("nodes").error(f"'{section.path_of('nodes')}' {found}", hint="nodes: [gpu01, gpu02]")
    if not value.items:
        raise value.place.error(f"'{section.path_of('nodes')}' is empty", hint="nodes: [gpu01, gpu02]")
    nodes: list[SshNode] = []
    places: list[Place] = []
    for item in value.items:
        nodes += at(item.place, partial(_expanded, item))
        places += [item.place] * (len(nodes) - len(places))
        if len(nodes) > NODE_LIMIT:
            raise item.place.error(f"more than {NODE_LIMIT} nodes")
    double = first_double(nodes)
    if double is not None:
        raise places[double[0]].error(double[1], hint="every node needs a name and an address of its own")
    return tuple(nodes)


def _expanded(item: Value) -> list[SshNode]:
    """The nodes that one item of `nodes` stands for: ranges in an address and in a name go side by side."""
    if isinstance(item, Scalar):
        return [SshNode(address=address, name=address) for address in expand_range(item.text)]
    if not isinstance(item, MapValue):
        raise item.place.error(
            f"a node must be an address or a mapping, found {item.found}", hint="{address: 10.0.0.5}"
        )
    section = Section(item, keys=SSH_NODE, path="nodes")
    address = section.written("address")
    if address is None:
        raise item.place.error("a node needs an 'address'", hint="{address: 10.0.0.5, name: gpu01}")
    addresses = expand_range(address)
    names = expand_range(section.written("name") or address)
    if len(names) != len(addresses):
        raise UsageError(f"{len(addresses)} addresses and {len(names)} names do not go side by side")
    port = _port(section)
    return [SshNode(address=address, name=name, ssh_port=port) for address, name in zip(addresses, names)]


def expand_range(text: str) -> list[str]:
    """`gpu[02-04]` as gpu02, gpu03, gpu04; `n[1,3-4]` as n1, n3, n4; several brackets multiply. Raises UsageError.

    Leading zeros of a range's first number give the width.
    """
    parts: list[list[str]] = []
    end = count = 0
    for found in _BRACKETS.finditer(text):
        parts += [[text[end : found.start()]], _numbers(found[1], text)]
        end = found.end()
        count = max(count, 1) * len(parts[-1])
        if count > NODE_LIMIT:
            raise UsageError(f"'{text}' stands for more than {NODE_LIMIT} nodes")
    parts.append([text[end:]])
    if any("[" in piece or "]" in piece for (piece,) in parts[::2]):
        raise _bad_range(text)
    return ["".join(pieces) for pieces in itertools.product(*parts)]


def _numbers(ranges: str, text: str) -> list[str]:
    numbers: list[str] = []
    for part in ranges.split(","):
        found = _RANGE.match(part.strip())
        if found is None or len(part) > 40:
            raise _bad_range(text)
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            raise UsageError(f"the range {part} in '{text}' runs backwards")
        if last - first >= NODE_LIMIT:
            raise UsageError(f"'{text}' stands for more than {NODE_LIMIT} nodes")
        numbers += [str(number).zfill(len(found[1])) for number in range(first, last + 1)]
    return numbers


def _bad_range(text: str) -> UsageError:
    return UsageError(f"'{text}' is no range of nodes", hint='"gpu[01-04]" or "gpu[1,3,5-8]"')
