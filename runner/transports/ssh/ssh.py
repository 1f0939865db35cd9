"""Reaches a node over SSH: one connection, one channel, and at its end a part of the sidecar that was shipped there."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runner.spec.compute import SshNode, SshTarget
from runner.transports.bundle import BundleStore
from runner.transports.ssh.addresses import Hop, find_route
from runner.transports.ssh.authentication import NO_SECRETS, Secrets
from runner.transports.ssh.connection import Connection, Limits, Trust, connect
from runner.transports.ssh.gate import Gate
from runner.transports.ssh.known_hosts import SYSTEM_FILE, KnownHosts
from runner.transports.ssh.landing import LandingLimits, LandingRequest, land
from runner.transports.ssh.link import Pipe, SshLink
from sidecar.contract.layout import WorkspaceLayout


@dataclass(frozen=True, slots=True, kw_only=True)
class SshAccess:
    """What all nodes of a target share: whose keys are trusted, the person's settings, the bundles, the time limits.

    `is_attached`: the target has a compute file in the workspace, so that commands can name it.
    """

    target: SshTarget
    known: KnownHosts
    bundles: BundleStore
    config: Path | None
    secrets: Secrets = NO_SECRETS
    limits: Limits = field(default_factory=Limits)
    landing_limits: LandingLimits = field(default_factory=LandingLimits)
    is_attached: bool = True
    gate: Gate = field(default_factory=Gate)

    @property
    def trust(self) -> Trust:
        """Whose keys are accepted, and how a person accepts one more."""
        fix = f"runner compute trust {shlex.quote(self.target.name)}"
        if not self.is_attached:
            fix = "runner compute attach NAME FILE with these nodes, and runner compute trust NAME (or ssh there once)"
        return Trust(known=self.known, policy=self.target.host_key_policy, fix=fix)

    def route(self, node: SshNode) -> tuple[Hop, ...]:
        """The servers on the way to a node, it last. Raises MachineError."""
        return find_route(self.target, node, config=self.config)


def ssh_access(
    target: SshTarget, workspace: WorkspaceLayout, environ: Mapping[str, str], *, secrets: Secrets = NO_SECRETS
) -> SshAccess:
    """The access that a person's own ssh would have, and the workspace's known_hosts beside theirs."""
    home = Path(environ.get("HOME") or os.path.expanduser("~"))
    known = KnownHosts((home / ".ssh" / "known_hosts", SYSTEM_FILE), own=workspace.known_hosts)
    return SshAccess(
        target=target,
        known=known,
        bundles=BundleStore(workspace),
        config=home / ".ssh" / "config",
        secrets=secrets,
        is_attached=workspace.compute_file(target.name).exists(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SshTransport:
    """The way to one node. `argv` is the part of the sidecar to become there, with its arguments."""

    access: SshAccess
    node: SshNode
    argv: tuple[str, ...]

    @property
    def name(self) -> str:
        """For a person."""
        return f"ssh {self.node.name}"

    def connect(self) -> SshLink:
        """Logs in, ships what is missing, starts the part. Raises MachineError within the limits of `access`."""
        with contextlib.ExitStack() as passage:
            connection = connect(
                self.access.route(self.node),
                self.access.trust,
                self.access.secrets,
                self.access.limits,
                on_answer=lambda: passage.enter_context(self.access.gate.passage()),
            )
            return self._land(connection)

    def _land(self, connection: Connection) -> SshLink:
        try:
            pipe = Pipe(connection.open_session(timeout_s=self.access.limits.channel_s), self.node.name)
            request = LandingRequest(
                subject=self.node.name,
                work_directory=self.access.target.work_directory,
                argv=self.argv,
                peer_address=connection.peer_address,
            )
            landing = land(pipe, request, self.access.bundles, self.access.landing_limits)
        except BaseException:
            connection.close()
            raise
        connection.calm_down()
        return SshLink(connection, pipe, landing)
