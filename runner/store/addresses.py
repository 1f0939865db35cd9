"""Writes files to addresses that fsspec opens (`s3://`, `abfs://`, `https://`, ...); a plain path is none."""

from __future__ import annotations

import importlib
import os
from typing import Any

from runner.errors import MachineError

_INSTALL = "pip install 'scriptrun[data]'"


def is_url(place: str) -> bool:
    """Whether `place` is an address; `file://` and a plain path are of this machine."""
    head, sep, _ = place.partition("://")
    return bool(sep) and head.lower() != "file" and head.isascii() and head.replace("+", "").isalnum()


def open_fsspec(url: str) -> Any:
    """The library that opens addresses. Raises MachineError where it is not installed."""
    try:
        return importlib.import_module("fsspec")
    except ImportError as error:
        raise MachineError(
            f"{url} is no path of this machine, and the library that opens addresses is not installed: {_INSTALL}"
        ) from error


def send(source: str, url: str, *, overwrite: bool) -> bool:
    """Copies a file of this machine to an address, unless something is there that must stay; says whether it is there.

    What has the same size counts as the same file: it was sent before. Raises MachineError.
    """
    fsspec = open_fsspec(url)
    try:
        system, path = fsspec.core.url_to_fs(url)
        if system.exists(path):
            if system.size(path) == os.path.getsize(source) and not overwrite:
                return True
            if not overwrite:
                return False
        system.makedirs(os.path.dirname(path), exist_ok=True)
        system.put_file(source, path)
    except Exception as error:  # Every library behind an address raises what it likes: the file stays where it is.
        raise MachineError(f"{source} cannot be sent to {url}: {str(error) or type(error).__name__}") from error
    return True
