"""Has nodes remove what no run there needs any more: every node at once, each by a part of the sidecar on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from runner.errors import MachineError
from runner.spec.compute import SshNode
from runner.transports.ssh.ssh import SshAccess, SshTransport
from runner.transports.ssh.trusting import FAN_OUT

# Removing an environment of some hundred thousand files takes minutes on a slow disk.
_SILENCE_LIMIT_S = 600.0
_REPORT_LIMIT_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """What one node removed, as `sidecar/clean.py` reports it; `problem` where it could not be asked."""

    node: SshNode
    report: dict[str, Any] | None = None
    problem: MachineError | None = None


def clean_nodes(access: SshAccess, nodes: Sequence[SshNode]) -> list[Cleaned]:
    """Cleans every node; one that cannot be reached keeps none of the others up."""
    with ThreadPoolExecutor(max_workers=min(FAN_OUT, len(nodes)), thread_name_prefix="clean") as pool:
        return list(pool.map(lambda node: _clean(access, node), nodes))


def _clean(access: SshAccess, node: SshNode) -> Cleaned:
    transport = SshTransport(access=access, node=node, argv=("clean", "--node", node.name))
    try:
        link = transport.connect()
    except MachineError as error:
        return Cleaned(node=node, problem=error)
    link.silence_limit_s = _SILENCE_LIMIT_S
    try:
        content = link.incoming.read(_REPORT_LIMIT_BYTES)
        return Cleaned(node=node, report=dict(json.loads(content)))
    except (OSError, ValueError, TypeError) as error:
        why = link.last_words.splitlines()
        text = f"{node.name}: the node did not say what it removed: {why[-1] if why else error}"
        return Cleaned(node=node, problem=MachineError(text))
    finally:
        link.close()
