"""Says whether a node still has what it knew of its run: without that, nobody may start anything there again."""

from __future__ import annotations

import os
from typing import Optional

from sidecar.contract.layout import NodeLayout


def find_loss(layout: NodeLayout, told_bytes: Optional[int]) -> Optional[str]:
    """What the node lost, for a person; None where all is there.

    `told_bytes` of its events were told before, to this controller or an earlier one; None where nobody knows.
    """
    if not layout.plan.exists():
        return f"{layout.plan} was removed"
    try:
        size_bytes = os.stat(layout.events).st_size
    except FileNotFoundError:
        size_bytes = 0
    if told_bytes is not None and size_bytes < told_bytes:
        return f"{layout.events} was removed or cut"
    return None
