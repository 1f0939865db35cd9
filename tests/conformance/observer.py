"""Evaluates calls of azureml-core and tells what a script can observe of each: `python observer.py < calls`.

It is run by the real azureml-core and by ours, so it knows neither.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
import sys
import warnings

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)


def observe(call: str, scope: dict) -> dict:
    """How one call ended, and what it printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            found = repr(eval(call, scope))
            outcome = "value"
        except Exception as error:
            outcome, found = type(error).__name__, str(getattr(error, "message", error))
    run_id = scope["run"].id
    shown = {"outcome": outcome, "found": found, "printed": printed.getvalue()}
    return {key: re.sub(r" at 0x[0-9a-f]+", "", text.replace(run_id, "RUN")) for key, text in shown.items()}


def main() -> None:
    """Reads lines of standard input: imports up to an empty line, then calls."""
    imports, _, calls = sys.stdin.read().partition("\n\n")
    scope: dict = {}
    exec(imports, scope)
    json.dump({call: observe(call, scope) for call in calls.strip().splitlines()}, sys.__stdout__)


main()
