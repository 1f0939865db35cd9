"""Builds one environment for the submitting side: `python -m sidecar build`, a question on standard input, an answer.

The question is a line of JSON, {"spec": ..., "cache": folder}; the builder's output goes to standard error, live.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import BinaryIO

from sidecar.environments.failure import BuildFailed
from sidecar.environments.preparation import prepare


def main() -> int:
    """Answers with the environment, or with {"message", "hint"} and exit code 1."""
    question = json.loads(sys.stdin.readline())

    def open_log() -> BinaryIO:
        return os.fdopen(os.dup(2), "ab", buffering=0)

    try:
        found = prepare(question["spec"], cache=Path(question["cache"]), open_log=open_log)
    except BuildFailed as error:
        sys.stdout.write(json.dumps({"message": error.message, "hint": error.hint}) + "\n")
        return 1
    sys.stdout.write(json.dumps(found._asdict()) + "\n")
    return 0
