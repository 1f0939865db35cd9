"""What is known of the end of a node's job container: whoever cleans up after it takes the reason from here."""

from __future__ import annotations

import errno
from typing import Any, Dict

from sidecar.contract import publish
from sidecar.contract.layout import NodeLayout


def facts(node: NodeLayout) -> Dict[str, Any]:
    """What to add to the exit record of a process that ended with its container; nothing where that still lives."""
    record = _read(node)
    if not record:
        return {}
    return {
        "container_end": record["sentence"],
        "is_out_of_memory": bool(record["is_out_of_memory"]),
        "memory_limit_bytes": record["memory_limit_bytes"],
    }


def sentence(node: NodeLayout) -> str:
    """Why the container is no more."""
    return str(_read(node).get("sentence") or "its container is gone")


def refusal(node: NodeLayout) -> OSError:
    """Why nothing can be started any more, as the failure of a start."""
    return OSError(errno.ESRCH, sentence(node), "not started")


def _read(node: NodeLayout) -> Dict[str, Any]:
    try:
        return publish.read_record(node.container_end) or {}
    except ValueError:
        return {}
