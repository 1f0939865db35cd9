"""The records of docs/metrics.md, as the in-job code appends them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sidecar.contract import settings

SITE = Path(__file__).parents[3] / "sidecar" / "injob" / "site"
START = "from scriptrun_job.journal import of_job\njournal = of_job()\n"


def append(source: str, path: Path) -> tuple[list[dict[str, Any]], str]:
    """The records that `source` leaves in `path`, and what it said on standard error."""
    environ = {**os.environ, "PYTHONPATH": str(SITE), settings.METRICS_FILE: str(path)}
    command = [sys.executable, "-W", "error", "-c", START + source]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return [json.loads(line, parse_constant=pytest.fail) for line in path.read_text().splitlines()], done.stderr


def test_records_of_any_kind(tmp_path: Path) -> None:
    """Several records in one call are one line each, with writer, sequence and time, in ASCII."""
    source = "journal.append_all([('tag', {'name': 'k', 'value': 'ä'}), ('status', {'r': 'c', 'status': 'Failed'})])"
    (tag, status), _ = append(source, tmp_path / "m.jsonl")
    assert (tag["kind"], tag["name"], tag["value"]) == ("tag", "k", "ä")
    assert (status["kind"], status["r"], status["w"], status["n"]) == ("status", "c", tag["w"], tag["n"] + 1)
    assert (tmp_path / "m.jsonl").read_bytes().isascii()


def test_nan_in_other_records_is_refused(tmp_path: Path) -> None:
    """What JSON cannot hold never gets into the file."""
    source = "try: journal.append('tag', {'value': float('nan')})\nexcept ValueError: journal.append('ok', {})"
    (record,), _ = append(source, tmp_path / "m.jsonl")
    assert record["kind"] == "ok"


def test_loss_is_told_once_there_is_room(tmp_path: Path) -> None:
    """Records that a full disk did not take are counted in the next that it takes; a mark lies beside the file."""
    source = """
import errno, os
write = os.write
def full(descriptor, content):
    if content.startswith(b"{"): raise OSError(errno.ENOSPC, "No space left on device")
    return write(descriptor, content)
os.write = full
for n in range(3): journal.scalar("x", n)
os.write = write
journal.scalar("x", 3)
"""
    records, said = append(source, tmp_path / "rank_1.jsonl")
    assert [(record["kind"], record["value"]) for record in records] == [("scalar", 3), ("lost", 3)]
    assert said.count("metrics are being lost") == 1
    assert (tmp_path / "rank_1.lost").stat().st_size == 0


def test_outside_a_job_there_is_none(tmp_path: Path) -> None:
    """Without a metrics file there is no journal, and it is one object where there is one."""
    more = f"import os\nassert of_job() is journal\ndel os.environ['{settings.METRICS_FILE}']\nassert of_job() is None"
    append(more + "\njournal.append('x', {})", tmp_path / "m.jsonl")
