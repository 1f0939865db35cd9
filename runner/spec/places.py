"""Paths as a config writes them, made absolute: relative to the config's folder, `~` the person's home."""

from __future__ import annotations

import os

CONFIG_FOLDERS = (".azureml", "aml_config")  # where v1's tools kept a project's .runconfig files


def absolute(written: str, folder: str) -> str:
    """`written` as an absolute path without `..`; symbolic links stay as they are."""
    return os.path.normpath(os.path.join(folder, os.path.expanduser(written)))


def program(written: str, folder: str) -> str:
    """An interpreter: a bare name is looked up on the PATH where the job runs, anything else is a path."""
    return written if os.sep not in written and not written.startswith("~") else absolute(written, folder)
