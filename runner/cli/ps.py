"""`runner ps RUN`: the processes of a run, and for those alive here what they use now."""

from __future__ import annotations

import dataclasses
import sys
import time
from datetime import datetime, timezone
from typing import Any, NamedTuple

import click

from runner.cli.place import output_option, run_argument, run_here
from runner.cli.table import dump, format_table
from runner.cli.tty import complain, is_coloured
from runner.history.process_table import ProcessRow, read_processes
from runner.history.run_record import read_record
from sidecar.contract import settings

# Between two looks at the CPU clock: shorter is too coarse (the clock ticks every 10 ms), longer is felt.
_SAMPLE_S = 0.15

_COLUMNS = (
    ("process_name", "Process"),
    ("status", "Status"),
    ("node_id", "Node"),
    ("pid", "PID"),
    ("cpu_percent", "CPU %"),
    ("rss_mib", "RSS MiB"),
    ("state", "State"),
    ("start", "Start"),
    ("end", "End"),
    ("log", "Log"),
)


class _Use(NamedTuple):
    cpu_percent: float
    rss_mib: float
    state: str


@click.command()
@run_argument
@output_option
def command(run: str, output: str) -> None:
    """List a run's processes.

    What lives on this machine is shown with the CPU (100 is one core) and the memory that it uses now. Of a node that
    is out of reach, the last that is known is shown.
    """
    from runner.cli.resume import resume_if_orphaned
    from runner.cli.status import lost_contacts

    workspace, run_id = run_here(run)
    resume_if_orphaned(workspace, run_id)
    layout = workspace.run(run_id)
    processes = read_processes(layout)
    uses = _measure(processes, run_id)
    lost = lost_contacts(layout, read_record(layout))
    gone = {node_id: contact.to_record() for node_id, contact in lost.items()}
    rows = [
        {**dataclasses.asdict(row), **_columns(uses.get(row.process_name)), "contact_lost": gone.get(row.node_id or "")}
        for row in processes
    ]
    if output == "json":
        click.echo(dump(rows))
    elif rows:
        cells = ([row[key] for key, _ in _COLUMNS] for row in rows)
        headers = [header for _, header in _COLUMNS]
        click.echo(format_table(headers, cells, is_coloured=is_coloured(sys.stdout)), nl=False)
    else:
        complain(f"no process of {run_id} was started yet")
    for node_id, contact in lost.items():
        complain(f"{node_id}: {contact.sentence(node_id, datetime.now(timezone.utc))}")


def _columns(use: _Use | None) -> dict[str, Any]:
    return use._asdict() if use else dict.fromkeys(_Use._fields)


def _measure(processes: list[ProcessRow], run_id: str) -> dict[str, _Use]:
    """What every live process of the run on this machine uses; a process that bears no mark of the run is another's."""
    pids = {row.process_name: row.pid for row in processes if row.is_alive and row.pid}
    if not pids:
        return {}
    import psutil

    found: dict[str, psutil.Process] = {}
    for name, pid in pids.items():
        try:
            process = psutil.Process(pid)
            if process.environ().get(settings.MARK_RUN) == run_id:
                process.cpu_percent()  # the first call only starts the measurement
                found[name] = process
        except psutil.Error:
            continue  # ended meanwhile, or not ours to look at: its row stands without numbers
    if found:
        time.sleep(_SAMPLE_S)
    uses = {}
    for name, process in found.items():
        try:
            rss_mib = round(process.memory_info().rss / 2**20, 1)
            uses[name] = _Use(round(process.cpu_percent(), 1), rss_mib, process.status())
        except psutil.Error:
            continue
    return uses
