"""The answer to one question about a machine."""

from __future__ import annotations

from typing import Any, Dict, Mapping, NamedTuple, Optional

OK, WARN, FAIL = "ok", "warn", "fail"
_MIB = 1024 * 1024
_GIB = 1024 * _MIB


class Finding(NamedTuple):
    """`brief` fits into a table's cell; `detail` holds what was found, and the reason where `level` is not ok.

    With a `fail` no run can start there. `hint` is what to try; `facts` are for comparing machines.
    """

    name: str
    level: str
    brief: str
    detail: str
    hint: Optional[str] = None
    facts: Mapping[str, Any] = {}

    def to_record(self) -> Dict[str, Any]:
        """The finding as JSON values."""
        return {**self._asdict(), "facts": dict(self.facts)}


def size(count: float) -> str:
    """A number of bytes for a person."""
    return f"{count / _GIB:.1f} GiB" if count >= _GIB else f"{count / _MIB:.0f} MiB"


def floor(value: int, *, fail: int, warn: int) -> str:
    """The level of a quantity of which there should be much."""
    return FAIL if value < fail else WARN if value < warn else OK
