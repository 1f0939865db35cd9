"""Why a job has no environment."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Sequence, Tuple


class BuildFailed(Exception):
    """The interpreter is missing or unfit, or the environment could not be built.

    `hint` says what to try; `last_lines` is the end of the builder's output, empty where nothing was run.
    """

    def __init__(self, message: str, *, hint: Optional[str] = None, last_lines: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.last_lines: Tuple[str, ...] = tuple(last_lines)

    def to_record(self) -> Dict[str, Any]:
        """As it is left for those who waited for this build."""
        return {"message": self.message, "hint": self.hint, "last_lines": list(self.last_lines)}


def build_failed(record: Mapping[str, Any]) -> BuildFailed:
    """The failure that another builder left behind."""
    return BuildFailed(
        str(record.get("message")), hint=record.get("hint"), last_lines=[str(line) for line in record["last_lines"]]
    )
