"""Where the files of a run lie that v1 knows by their names alone."""

from __future__ import annotations

from pathlib import Path

from sidecar.contract.layout import ARTIFACTS, AZUREML_LOGS, OUTPUTS, USER_LOGS, RunLayout


def place_of(layout: RunLayout, name: str) -> Path:
    """Where the file or folder called `name` lies: what was uploaded under another name than these lies aside."""
    plain = layout.root / name
    return plain if name.split("/")[0] in (AZUREML_LOGS, USER_LOGS, OUTPUTS) else layout.root / ARTIFACTS / name
