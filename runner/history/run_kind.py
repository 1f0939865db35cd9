"""What kind of run a record is of: one that a controller leads, or one that a program outside a job tells of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.history.run_record import RunRecord

# v1's words. An interactive run has none.
SCRIPT = "azureml.scriptrun"
SWEEP = "hyperdrive"
_KIND = "type"
# Key of a record's `extra`: what a sweep tries, and how (runner/sweeps/definition.py).
SWEEP_KEY = "sweep"


def kind_of(record: RunRecord) -> str | None:
    """The kind of the run in v1's word; None for an interactive one."""
    found = record.extra.get(_KIND, SCRIPT)
    return None if found is None else str(found)


def marked(extra: Mapping[str, Any], kind: str | None) -> dict[str, Any]:
    """`extra` of a record, with the kind in it."""
    return {**extra, _KIND: kind}


def has_controller(record: RunRecord) -> bool:
    """Whether a controller leads the run; an interactive one ends when its program says so."""
    return bool(record.request)
