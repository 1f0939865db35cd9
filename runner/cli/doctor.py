"""`runner doctor [TARGET]`: says what runs will find on this machine, or on the machines of a target."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from runner.cli.place import output_option, workspace_here
from runner.cli.secrets import read_secrets, secret_options
from runner.cli.table import dump, format_table
from runner.cli.tty import is_coloured
from runner.errors import MachineError

if TYPE_CHECKING:
    from runner.nodes.target_report import NodeReport
    from runner.spec.compute import SshTarget
    from sidecar.contract.layout import WorkspaceLayout

# (heading, finding) of the table a row a node; what is not in it is said below where it is not as it should be.
_COLUMNS = (
    ("Reached", "reached"),
    ("Host key", "host key"),
    ("Login", "login"),
    ("Python", "python"),
    ("MPI", "MPI"),
    ("Clock", "clock"),
    ("Disk", "disk"),
    ("Inodes", "inodes"),
    ("Exec", "exec"),
    ("Memory", "memory"),
    ("/dev/shm", "/dev/shm"),  # noqa: S108 (a heading)
    ("GPUs", "GPUs"),
    ("Address", "address"),
    ("Extras", "extras"),
)
_SIGNS = {"ok": "", "warn": "! ", "fail": "x "}


@click.command()
@click.argument("target", required=False, metavar="[TARGET]")
@output_option
@secret_options
def command(target: str | None, output: str, **secrets: Any) -> int:
    """Say what this machine, or those of TARGET, have and lack.

    Exit code 3 means that no run could start there.
    """
    from runner.spec.compute import LOCAL, SshTarget
    from runner.spec.compute_file import read_named_target

    workspace = workspace_here()
    found = None if target in (None, LOCAL) else read_named_target(str(target), workspace.compute)
    if isinstance(found, SshTarget):
        return _look_at_nodes(workspace, found, output, secrets)
    return _look_at_this_machine(workspace, output)


def _look_at_this_machine(workspace: WorkspaceLayout, output: str) -> int:
    from runner import wiring
    from runner.containers.inspection import inspect_engine
    from runner.nodes.finding import Level
    from runner.nodes.machine_report import inspect_machine

    findings = [*inspect_machine(workspace, wiring.bundle_folder()), *inspect_engine(workspace, os.environ)]
    if output == "json":
        click.echo(dump([finding.to_record() for finding in findings]))
    else:
        rows = [(finding.level.value, finding.name, finding.detail) for finding in findings]
        click.echo(format_table(("", "What", "Found"), rows, is_coloured=is_coloured(sys.stdout)), nl=False)
    return MachineError.exit_code if any(finding.level is Level.FAIL for finding in findings) else 0


def _look_at_nodes(workspace: WorkspaceLayout, target: SshTarget, output: str, secrets: dict[str, Any]) -> int:
    from runner.nodes.target_report import judge
    from runner.transports.ssh.examining import ExamineLimits, examine_nodes
    from runner.transports.ssh.ssh import ssh_access

    access = ssh_access(target, workspace, os.environ, secrets=read_secrets(**secrets))
    reports = judge(examine_nodes(access, target.nodes, ExamineLimits()))
    is_usable = all(report.is_usable for report in reports)
    if output == "json":
        nodes = [_record(report) for report in reports]
        click.echo(dump({"target": target.name, "is_usable": is_usable, "nodes": nodes}))
    else:
        headers = ("Node", *(heading for heading, _ in _COLUMNS))
        click.echo(format_table(headers, map(_row, reports), is_coloured=is_coloured(sys.stdout)), nl=False)
        for line in _remarks(reports):
            click.echo(line)
    return 0 if is_usable else MachineError.exit_code


def _record(report: NodeReport) -> dict[str, Any]:
    findings = {finding.name: finding.to_record() for finding in report.findings}
    return {"node": report.node_id, "is_usable": report.is_usable, "findings": findings}


def _row(report: NodeReport) -> tuple[str, ...]:
    cells = []
    for _, name in _COLUMNS:
        finding = report.find(name)
        cells.append("-" if finding is None else _SIGNS[finding.level.value] + finding.brief)
    return (report.node_id, *cells)


def _remarks(reports: Sequence[NodeReport]) -> Iterator[str]:
    """Failures, then warnings, each with its node, its reason and what to try; equal ones of many nodes are one."""
    from runner.logview.terminal_text import harmless

    for level in ("fail", "warn"):
        said: dict[tuple[str, str, str | None], list[str]] = {}
        for report in reports:
            for finding in report.findings:
                if finding.level.value == level:
                    text = finding.detail.removeprefix(f"{report.node_id}: ")
                    said.setdefault((finding.name, text, finding.hint), []).append(report.node_id)
        for (name, text, hint), nodes in said.items():
            line = f"{level}  {', '.join(nodes)}: {name}: {text}"
            yield harmless(line.replace("\n", " ").encode("utf-8", "replace"), is_coloured=False)
            if hint is not None:
                yield f"      try: {hint}"
