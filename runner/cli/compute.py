"""`runner compute`: the machines that this workspace knows."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.cli.place import output_option, workspace_here
from runner.cli.secrets import read_secrets, secret_options
from runner.cli.table import dump, format_table
from runner.cli.tty import complain, is_coloured, is_terminal
from runner.errors import MachineError, RunnerError, UsageError
from sidecar.contract.layout import WorkspaceLayout

if TYPE_CHECKING:
    from runner.spec.compute import ComputeTarget, SshTarget
    from runner.transports.ssh.cleaning import Cleaned
    from runner.transports.ssh.ssh import SshAccess
    from runner.transports.ssh.trusting import Offer

name_argument = click.argument("name", metavar="NAME")


@click.group()
def command() -> None:
    """List, attach and look after the machines of this workspace."""


@command.command("list")
@output_option
def list_command(output: str) -> None:
    """List the compute targets that a config file may name."""
    from runner.spec.compute_file import known_targets, read_named_target

    workspace = workspace_here()
    rows: list[dict[str, Any]] = []
    for name in known_targets(workspace.compute):
        try:
            rows.append({**read_named_target(name, workspace.compute).to_record(), "name": name, "problem": None})
        except RunnerError as error:
            rows.append({"name": name, "problem": error.message})
    if output == "json":
        click.echo(dump(rows))
        return
    _show(("Name", "Type", "Nodes", "Problem"), [_list_row(row) for row in rows])


def _list_row(row: dict[str, Any]) -> tuple[Any, ...]:
    nodes = row.get("nodes")
    count = row.get("node_count") or "as asked for" if nodes is None else len(nodes)
    return row["name"], row.get("type"), count if row["problem"] is None else None, row["problem"] or ""


@command.command("show")
@name_argument
@output_option
def show_command(name: str, output: str) -> None:
    """Show a target's nodes, and how each is reached."""
    from runner.spec.compute import SshTarget
    from runner.spec.compute_file import read_named_target

    workspace = workspace_here()
    target = read_named_target(name, workspace.compute)
    if output == "json":
        click.echo(dump(target.to_record()))
    elif isinstance(target, SshTarget):
        access = _access(workspace, target)
        rows = []
        for node in target.nodes:
            route = access.route(node)
            rows.append((node.name, route[-1].place, " -> ".join(hop.place for hop in route[:-1])))
        _show(("Node", "Login", "By way of"), rows)
    else:
        _show(("Name", "Type", "Nodes"), [_list_row({**target.to_record(), "problem": None})[:3]])


@command.command("attach")
@name_argument
@click.argument("file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def attach_command(name: str, file: Path) -> None:
    """Check a compute file, and keep it in this workspace as NAME."""
    from runner.spec.compute import SshTarget
    from runner.spec.compute_store import attach

    target = attach(name, file, workspace_here().compute)
    click.echo(f"attached {name}: {target.node_count or 1} node(s)")
    if isinstance(target, SshTarget):
        click.echo(f"next: runner compute trust {name}", err=True)


@command.command("detach")
@name_argument
def detach_command(name: str) -> None:
    """Forget a target; its machines are left as they are."""
    from runner.spec.compute_store import detach

    click.echo(f"removed {detach(name, workspace_here().compute)}")


@command.command("trust")
@name_argument
@click.option("--yes", "is_agreed", is_flag=True, help="Accept every key that is shown, without asking.")
@secret_options
def trust_command(name: str, is_agreed: bool, **secrets: Any) -> int:
    """Show the host keys that a target's machines offer, and accept them after a yes."""
    from runner.transports.ssh.trusting import fetch_offers, stages

    access = _ssh_access(name, secrets)
    routes = [access.route(node) for node in access.target.nodes]
    is_whole = True
    for stage in stages(routes):  # Jump hosts first: what lies behind them can be asked only through them.
        offers = fetch_offers(access, stage)
        _show(("Machine", "Address", "Key", "Fingerprint", "So far"), [row for offer in offers for row in _rows(offer)])
        is_whole &= _accept(access, offers, is_agreed=is_agreed)
    return 0 if is_whole else MachineError.exit_code


def _rows(offer: Offer) -> list[tuple[str, ...]]:
    if offer.problem is not None:
        complain(str(offer.problem))
        return [(offer.hop.subject, offer.hop.place, "", "", "not reached")]
    return [
        (offer.hop.subject, offer.hop.place, key.kind, key.fingerprint, verdict.standing.value)
        for key, verdict in offer.keys
    ]


def _accept(access: SshAccess, offers: Sequence[Offer], *, is_agreed: bool) -> bool:
    """Writes down what is not known yet, after a yes; says whether every machine can be talked to now."""
    from runner.transports.ssh.known_hosts import Standing

    is_whole = all(offer.keys for offer in offers)
    fresh = []
    for offer in offers:
        for key, verdict in offer.keys:
            if verdict.standing is Standing.REVOKED:
                is_whole = False
            elif verdict.standing is not Standing.KNOWN:
                fresh.append((offer.hop.key_name, key))
    if not fresh:
        return is_whole
    if not is_agreed:
        if not is_terminal(sys.stdin):
            raise UsageError("nobody is there to say yes", hint="compare the fingerprints, then add --yes")
        if not click.confirm(f"Write these {len(fresh)} keys to {access.known.own}?", err=True):
            return False
    for name, key in fresh:
        access.known.remember(name, key)
    click.echo(f"{len(fresh)} keys written to {access.known.own}", err=True)
    return is_whole


@command.command("clean")
@name_argument
@output_option
@secret_options
def clean_command(name: str, output: str, **secrets: Any) -> int:
    """Remove what the runner keeps on a target's machines and no run there needs now."""
    from runner.transports.ssh.cleaning import clean_nodes

    access = _ssh_access(name, secrets)
    found = clean_nodes(access, access.target.nodes)
    if output == "json":
        click.echo(dump([_clean_record(cleaned) for cleaned in found]))
    else:
        headers = ("Node", "Environments", "Snapshots", "Data sets", "Images", "Bundles", "Freed", "In use by")
        _show(headers, [_clean_row(cleaned) for cleaned in found])
    problems = [text for cleaned in found for text in _clean_problems(cleaned)]
    for text in problems:
        complain(text)
    return MachineError.exit_code if problems else 0


def _clean_record(cleaned: Cleaned) -> dict[str, Any]:
    problem = None if cleaned.problem is None else str(cleaned.problem.message)
    return {"node": cleaned.node.name, **(cleaned.report or {}), "problem": problem}


def _clean_row(cleaned: Cleaned) -> tuple[Any, ...]:
    if cleaned.report is None:
        return (cleaned.node.name, None, None, None, None, None, "not cleaned", "")
    removed = cleaned.report["removed"]
    counts = tuple(removed[kind] for kind in ("environments", "snapshots", "data_sets", "images", "bundles"))
    freed = f"{cleaned.report['freed_bytes'] / 1e6:.1f} MB"
    return (cleaned.node.name, *counts, freed, ", ".join(cleaned.report["live_runs"]))


def _clean_problems(cleaned: Cleaned) -> list[str]:
    if cleaned.problem is not None:
        return [str(cleaned.problem)]
    return [f"{cleaned.node.name}: {text}" for text in (cleaned.report or {}).get("problems", ())]


def _ssh_access(name: str, secrets: dict[str, Any]) -> SshAccess:
    """The way to the machines of a target of type ssh. Raises UsageError for another."""
    from dataclasses import replace

    from runner.spec.compute import SshTarget
    from runner.spec.compute_file import read_named_target

    workspace = workspace_here()
    target: ComputeTarget = read_named_target(name, workspace.compute)
    if not isinstance(target, SshTarget):
        raise UsageError(f"{name} is this machine", hint="name a target of type ssh: runner compute list")
    return replace(_access(workspace, target), secrets=read_secrets(**secrets))


def _access(workspace: WorkspaceLayout, target: SshTarget) -> SshAccess:
    from runner.transports.ssh.ssh import ssh_access

    return ssh_access(target, workspace, os.environ)


def _show(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    click.echo(format_table(headers, rows, is_coloured=is_coloured(sys.stdout)), nl=False)
