"""Runs one of the machine's commands and says in one line why it failed."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence


class LabError(Exception):
    """The lab cannot do what was asked; the message says what failed, on what, and what it said."""


def run(argv: Sequence[str], *, stdin: str | None = None, limit_s: float = 30.0) -> str:
    """What the command printed; raises LabError with its last words where it fails."""
    given = {"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=limit_s, **given)
    except FileNotFoundError:
        raise LabError(f"{argv[0]} is not installed") from None
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-3:]
        raise LabError(f"{' '.join(argv)} ended with {done.returncode}: {' | '.join(said)}")
    return done.stdout
