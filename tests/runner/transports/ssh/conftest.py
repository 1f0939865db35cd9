"""A person's home and workspace, and what their ssh would use in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runner.spec.compute import SshTarget
from runner.transports.ssh.authentication import NO_SECRETS, Secrets
from runner.transports.ssh.connection import Limits
from runner.transports.ssh.landing import LandingLimits
from runner.transports.ssh.ssh import SshAccess, ssh_access
from sidecar.contract.layout import WorkspaceLayout

MakeAccess = Callable[..., SshAccess]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home with a `.ssh`; no agent runs."""
    home = tmp_path / "person"
    (home / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return home


@pytest.fixture
def workspace(tmp_path: Path) -> WorkspaceLayout:
    """A workspace with nothing in it."""
    layout = WorkspaceLayout(tmp_path / "workspace")
    layout.root.mkdir()
    return layout


@pytest.fixture
def make_access(home: Path, workspace: WorkspaceLayout) -> MakeAccess:
    """Gives the access to a target, with these lines in the person's known_hosts."""

    def make(target: SshTarget, *known_lines: str, secrets: Secrets = NO_SECRETS, limit_s: float = 20.0) -> SshAccess:
        if known_lines:
            (home / ".ssh" / "known_hosts").write_text("".join(f"{line}\n" for line in known_lines))
        access = ssh_access(target, workspace, {"HOME": str(home)}, secrets=secrets)
        return SshAccess(
            target=target,
            known=access.known,
            bundles=access.bundles,
            config=access.config,
            secrets=secrets,
            limits=Limits(dial_s=limit_s, handshake_s=limit_s, login_s=limit_s, channel_s=limit_s),
            landing_limits=LandingLimits(landing_s=limit_s, shipping_s=limit_s),
        )

    return make
