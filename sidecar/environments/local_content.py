"""Hashes the wheels and project folders that requirements name by path: a changed project is another environment."""

from __future__ import annotations

import hashlib
import os
from typing import Iterator

_CHUNK_BYTES = 1024 * 1024
# What building a project leaves in it, and what is no part of it: counted in, the key would change with every build.
_PASSED_OVER = frozenset({".git", ".hg", ".runner", ".venv", ".tox", ".nox", "__pycache__", "build", "dist"})
_PASSED_OVER_ENDINGS = (".egg-info", ".pyc")


def hash_path(path: str) -> str:
    """The sha256 of a file's content, or of every name and content in a folder. Raises OSError."""
    if not os.path.isdir(path):
        return _hash_file(path)
    digest = hashlib.sha256()
    for place in _files(path):
        name = os.fsencode(os.path.relpath(place, path))
        content = f"-> {os.readlink(place)}" if os.path.islink(place) else _hash_file(place)
        digest.update(name + b"\0" + os.fsencode(content) + b"\0")
    return digest.hexdigest()


def _files(folder: str) -> Iterator[str]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if _counts(name))
        for name in sorted(names):
            place = os.path.join(parent, name)
            if _counts(name) and (os.path.islink(place) or os.path.isfile(place)):
                yield place


def _counts(name: str) -> bool:
    return name not in _PASSED_OVER and not name.endswith(_PASSED_OVER_ENDINGS)


def _hash_file(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
