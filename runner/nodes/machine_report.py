"""What this machine has and lacks for runs, measured by the same part of the sidecar as on any node."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from runner.errors import MachineError
from runner.nodes.finding import Finding
from sidecar.contract import settings
from sidecar.contract.layout import WorkspaceLayout

# The runner's own; a node makes do with an older one.
OLDEST_PYTHON = (3, 10)
# Every program that is asked has 10 to 20 seconds, and all are asked at once.
_LIMIT_S = 60.0


def inspect_machine(workspace: WorkspaceLayout, bundle: Path) -> list[Finding]:
    """Every finding about this machine; changes nothing. `bundle` is the folder that holds the `sidecar` package."""
    question = {"ask": "inspect", "place": "workspace", "oldest_python": OLDEST_PYTHON}
    try:
        done = subprocess.run(
            [sys.executable, "-s", "-S", "-E", "-m", "sidecar", "report"],
            cwd=bundle,
            env={**os.environ, settings.WORK_DIRECTORY: str(workspace.root)},
            input=json.dumps(question).encode() + b"\n",
            capture_output=True,
            timeout=_LIMIT_S,
            check=False,
        )
        return [Finding.from_record(record) for record in json.loads(done.stdout)["findings"]]
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MachineError(f"this machine could not be looked at: {error}") from error
    except (ValueError, KeyError, TypeError) as error:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise MachineError(f"this machine could not be looked at: {words[-1] if words else error}") from error
