"""`python -m sidecar supervisor|agent|rank|keeper|attendant|steward RUN_ID --node NODE_ID`: started by the runner,
never by a person.

`python -m sidecar clean` removes from a node what no run there needs, `report` says what it has, `build` builds an
environment.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

from sidecar import kernel
from sidecar.contract import settings
from sidecar.contract.layout import WorkspaceLayout, is_node_id, is_run_id

_PARTS = {
    "supervisor": "supervisor",
    "agent": "agent",
    "rank": "mpi_rank",
    "keeper": "keeper",
    "attendant": "attendant",
    "steward": "steward",
}


def main(arguments: list[str]) -> int:
    """Runs the part named by the first argument; the node's folder comes in the environment."""
    part = arguments[0] if arguments else ""
    if part == "clean":
        from sidecar import clean

        return clean.main(os.environ.get(settings.WORK_DIRECTORY, ""), arguments[1:])
    if part == "report":
        from sidecar.report import serving

        return serving.main(os.environ.get(settings.WORK_DIRECTORY, ""))
    if part == "build":
        from sidecar.environments import serving as building

        return building.main()
    node_root = os.environ.get(settings.NODE_ROOT, "") or _place(arguments)
    if part not in _PARTS or not node_root:
        sys.stderr.write(f"usage: python -m sidecar {'|'.join(_PARTS)} RUN_ID, with {settings.NODE_ROOT} set\n")
        return 2
    found: int = importlib.import_module(f"sidecar.{_PARTS[part]}").main(node_root)
    return found


def _place(arguments: list[str]) -> str:
    """The node's folder below the work directory that landing left in the environment; empty where there is none."""
    work = os.environ.get(settings.WORK_DIRECTORY, "")
    if not work or len(arguments) != 4 or arguments[2] != "--node":
        return ""
    _, run_id, _, node_id = arguments
    if not is_run_id(run_id) or not is_node_id(node_id):
        return ""
    os.environ[settings.NODE_ROOT] = str(WorkspaceLayout(Path(work)).node(node_id, run_id).root)
    return os.environ[settings.NODE_ROOT]


if __name__ == "__main__":
    # One that landed on a node (landing.py) was started by another command line.
    kernel.rename_process(" ".join([os.path.basename(sys.executable), "-s -S -E -m sidecar", *sys.argv[1:]]))
    sys.exit(main(sys.argv[1:]))
