"""Reads the records that a job's processes append (docs/metrics.md), from any offset on, up to what is there."""

from __future__ import annotations

import contextlib
import gc
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sidecar.contract.layout import RunLayout

# Parsed at once: smaller costs calls, larger costs memory, about twenty times as much as the text.
_BLOCK_BYTES = 4 * 1024 * 1024
# No text inside a record can hold these bytes: its quotes are escaped.
_SCALAR = b'"kind":"scalar"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Some records of one file in the order in which they were written; `end` is the offset behind them."""

    entries: list[dict[str, Any]]
    end: int
    broken_count: int


def record_files(layout: RunLayout) -> list[tuple[str, str]]:
    """(path, process name) of every file of records of the run."""
    try:
        names = sorted(os.listdir(layout.metrics))
    except OSError:
        return []
    found = []
    for name in names:
        process_name = os.path.splitext(name)[0]
        if layout.process_metrics(process_name).name == name:
            found.append((os.path.join(layout.metrics, name), process_name))
    return found


def read_blocks(path: str, offset: int = 0, *, without_scalars: bool = False) -> Iterator[Block]:
    """The whole records from `offset` on; an unfinished last line waits, a broken one is counted.

    `without_scalars` leaves out most of them at a tenth of the cost.
    """
    try:
        stream = open(path, "rb", buffering=0)  # noqa: SIM115 - closed below, and only opening may fail
    except OSError:
        return
    with stream:
        stream.seek(offset)
        rest = b""
        while content := stream.read(_BLOCK_BYTES):
            whole, newline, rest = (rest + content).rpartition(b"\n")
            if newline:
                offset += len(whole) + 1
                with _uncollected():
                    entries, broken_count = _parse(whole, without_scalars=without_scalars)
                yield Block(entries=entries, end=offset, broken_count=broken_count)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Without the garbage collector, which would look at a million new objects again and again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _parse(content: bytes, *, without_scalars: bool) -> tuple[list[dict[str, Any]], int]:
    lines = content.split(b"\n")
    if without_scalars:
        lines = [line for line in lines if line and _SCALAR not in line]
    else:
        lines = [line for line in lines if line]
    try:  # All at once takes a third of the time of one by one.
        entries = json.loads(b"[" + b",".join(lines) + b"]")
        if len(entries) == len(lines) and all(map(_is_record, entries)):
            return entries, 0
    except (ValueError, RecursionError):
        pass
    found, broken = [], 0
    for line in lines:
        try:
            entry = json.loads(line)
            if not _is_record(entry):
                raise ValueError("no record")
            found.append(entry)
        except (ValueError, RecursionError):
            broken += 1
    return found, broken


def _is_record(entry: Any) -> bool:
    return isinstance(entry, dict) and "kind" in entry and type(entry.get("t")) is int and "w" in entry
