"""`python -m sidecar supervisor|agent|rank RUN_ID --node NODE_ID`: started by the runner, never by a person."""

from __future__ import annotations

import os
import sys

from sidecar.contract import settings


def main(arguments: list[str]) -> int:
    """Runs the part named by the first argument; the node's folder comes in the environment."""
    part = arguments[0] if arguments else ""
    node_root = os.environ.get(settings.NODE_ROOT, "")
    if part not in ("supervisor", "agent", "rank") or not node_root:
        sys.stderr.write(f"usage: python -m sidecar supervisor|agent|rank RUN_ID, with {settings.NODE_ROOT} set\n")
        return 2
    if part == "supervisor":
        from sidecar import supervisor

        return supervisor.main(node_root)
    if part == "agent":
        from sidecar import agent

        return agent.main(node_root)
    from sidecar import mpi_rank

    return mpi_rank.main(node_root)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
