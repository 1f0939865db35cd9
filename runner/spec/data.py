"""The data of a run: what is brought to every other machine, where outputs are to be brought, what containers here see.

A job of the submitting machine that runs in no container is given plain paths, and needs none of this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sidecar.contract.layout import OUTPUTS


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """A data set: the id of its listing in the workspace's store, and the variables that hold its path on a node."""

    name: str
    listing: str
    variables: tuple[str, ...]
    file_count: int
    size_bytes: int

    def to_record(self) -> dict[str, Any]:
        """The values as JSON."""
        return {
            "name": self.name,
            "listing": self.listing,
            "variables": list(self.variables),
            "file_count": self.file_count,
            "size_bytes": self.size_bytes,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSpec:
    """What the script writes below `outputs/NAME` is brought to `destination`, a folder here or an address.

    With `overwrites` a file that is there already is replaced; without, nothing is lost.
    """

    name: str
    destination: str
    variables: tuple[str, ...]
    overwrites: bool = False

    @property
    def folder(self) -> str:
        """The folder below the job's working directory that the script writes into."""
        return f"{OUTPUTS}/{self.name}"

    def to_record(self) -> dict[str, Any]:
        """The values as JSON."""
        return {
            "name": self.name,
            "destination": self.destination,
            "variables": list(self.variables),
            "overwrites": self.overwrites,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSpec:
    """All data of a run. More than `limit_bytes` of inputs are sent to no node.

    `shared` are paths of this machine that its containers see, each with whether they may only be read.
    """

    inputs: tuple[InputSpec, ...] = ()
    outputs: tuple[OutputSpec, ...] = ()
    shared: tuple[tuple[str, bool], ...] = ()
    limit_bytes: int = 0

    def __bool__(self) -> bool:
        return bool(self.inputs or self.outputs or self.shared)

    def to_plan(self) -> dict[str, Any]:
        """What a node must know of it; nothing where there are no data."""
        if not self:
            return {}
        outputs = {variable: output.folder for output in self.outputs for variable in output.variables}
        inputs = [given.to_record() for given in self.inputs]
        return {"inputs": inputs, "outputs": outputs, "shared": [list(one) for one in self.shared]}

    def to_record(self) -> dict[str, Any] | None:
        """The values as JSON; None where there are no data."""
        if not self:
            return None
        return {
            "inputs": [given.to_record() for given in self.inputs],
            "outputs": [output.to_record() for output in self.outputs],
            "shared": [list(one) for one in self.shared],
            "limit_bytes": self.limit_bytes,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any] | None) -> DataSpec:
        """What `to_record` described."""
        if record is None:
            return cls()
        return cls(
            inputs=tuple(InputSpec(**{**one, "variables": tuple(one["variables"])}) for one in record["inputs"]),
            outputs=tuple(OutputSpec(**{**one, "variables": tuple(one["variables"])}) for one in record["outputs"]),
            shared=tuple((str(path), bool(is_read_only)) for path, is_read_only in record.get("shared", ())),
            limit_bytes=record["limit_bytes"],
        )
