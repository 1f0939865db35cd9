"""Looks whether every log of a run that has ended is there with all that its process wrote."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from runner.nodes.node import Node
from sidecar.contract.layout import RunLayout


@dataclass(frozen=True, slots=True, kw_only=True)
class LogCheck:
    """Why logs are not complete, by path in the run folder, and what a person must know of them."""

    incomplete: Mapping[str, str]
    warnings: tuple[str, ...]


def check_logs(run: RunLayout, nodes: Iterable[Node]) -> LogCheck:
    """Compares what the nodes said of their processes with the run folder."""
    incomplete: dict[str, str] = {}
    told: list[str] = []
    for node in nodes:
        for name, started in node.state.started.items():
            ended = node.state.exited.get(name, {})
            told += [str(trouble) for trouble in _list(ended.get("log_troubles"))]
            place = run.root / started["log"] if node.intake is None else node.intake.place_of(started["log"])
            why = place and _what_is_wrong(place, ended.get("log_bytes"))
            if place is not None and why:
                incomplete[os.path.relpath(place, run.root)] = why
    warnings = (*told, *(f"{path}: {why}" for path, why in incomplete.items()))
    return LogCheck(incomplete=incomplete, warnings=tuple(dict.fromkeys(warnings)))


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _what_is_wrong(path: Path, log_bytes: object) -> str | None:
    try:
        found = os.lstat(path)
    except OSError:
        return "the log was removed after its process had ended"
    if not stat.S_ISREG(found.st_mode):
        return "something that is no file stands in the place of the log"
    if isinstance(log_bytes, int) and found.st_size < log_bytes:
        return f"the log has {found.st_size} of the {log_bytes} bytes that its process left in it"
    return None
