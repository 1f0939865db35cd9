"""The table that a person reads and the JSON beside it."""

from __future__ import annotations

import datetime
import json
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "bench"

_HEADERS = ("", "median", "[min - max]", "n", "CPU s", "limit", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure: the median of `values`, and whether it keeps `limit` (at most), where it has one."""

    what: str
    values: Sequence[float]
    unit: str = "s"
    cpu_s: float | None = None
    limit: float | None = None

    @property
    def median(self) -> float:
        """The figure itself."""
        return statistics.median(self.values)

    @property
    def verdict(self) -> str:
        """PASS, FAIL, or nothing where no limit is set."""
        if self.limit is None:
            return ""
        return "PASS" if self.median <= self.limit else "FAIL"

    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
        low, high = min(self.values), max(self.values)
        return (
            self.what,
            f"{_number(self.median)} {self.unit}",
            f"[{_number(low)} - {_number(high)}]" if len(self.values) > 1 else "",
            str(len(self.values)),
            "" if self.cpu_s is None else _number(self.cpu_s),
            "" if self.limit is None else f"{self.limit:g} {self.unit}",
            self.verdict,
        )

    def to_json(self) -> dict[str, Any]:
        """The row with every single value."""
        return {
            "what": self.what,
            "unit": self.unit,
            "median": self.median,
            "min": min(self.values),
            "max": max(self.values),
            "values": list(self.values),
            "cpu_s": self.cpu_s,
            "limit": self.limit,
            "verdict": self.verdict or None,
        }


@dataclass(slots=True, kw_only=True)
class Section:
    """What one benchmark found. `notes` say what is compared with what, and what was left out and why."""

    name: str
    title: str
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Takes a row in; one without a single value becomes a note."""
        if row.values:
            self.rows.append(row)
        else:
            self.notes.append(f"NOT MEASURED: {row.what}")

    def text(self) -> str:
        """The section as a person reads it."""
        return "\n".join(
            [
                f"== {self.name}: {self.title}",
                *_aligned([_HEADERS, *(row.cells() for row in self.rows)]),
                *(f"   {note}" for note in self.notes),
                "",
            ]
        )

    def to_json(self) -> dict[str, Any]:
        """The section as the JSON holds it."""
        rows = [row.to_json() for row in self.rows]
        return {"name": self.name, "title": self.title, "rows": rows, "notes": self.notes}


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "commit": _commit(),
        "load_before": [round(load, 2) for load in os.getloadavg()],
        "at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def write_json(path: Path, about: dict[str, Any], versions: dict[str, str], sections: Sequence[Section]) -> None:
    """Writes everything that was measured so far; an interrupted benchmark leaves what it had."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"machine": about, "peers": versions, "sections": [section.to_json() for section in sections]}
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=1) + "\n")
    temporary.replace(path)


def default_path(about: dict[str, Any]) -> Path:
    """The JSON's place where none was asked for: a new file each time, so that results can be compared."""
    return FOLDER / f"bench-{about['at'][:19].replace(':', '')}.json"


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.1f}" if abs(value) >= 100 else f"{value:.3f}"


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = []
    for cells in table:
        rest = (cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))
        lines.append("   " + "  ".join([cells[0].ljust(widths[0]), *rest]).rstrip())
    return lines


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass  # not Linux: the fallback below
    return platform.processor() or platform.machine()


def _commit() -> str | None:
    try:
        argv = ("git", "describe", "--always", "--dirty", "--abbrev=10")
        return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
