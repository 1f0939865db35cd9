"""The answer to one question about a machine, as `sidecar/report/` gives it or as this side finds out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Level(str, Enum):
    """How good a finding is: with a `fail` no run can start."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`brief` fits into a table's cell; `detail` holds what was found, and the reason where it is not ok."""

    name: str
    level: Level
    brief: str
    detail: str
    hint: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Finding:
        """The finding in a record of `sidecar/report/`."""
        return cls(**{**record, "level": Level(record["level"])})

    def to_record(self) -> dict[str, Any]:
        """For a person's program: everything but what is there for the table only."""
        return {"name": self.name, "level": self.level.value, "detail": self.detail, "hint": self.hint}
