"""The record of a snapshot: every file, link and empty folder of a source folder, and what paths may stand in it.

A manifest is a JSON list sorted by path. An entry is one of
    {"path": "a/b.py", "mode": "644" | "755", "size": 12, "sha256": "..."}
    {"path": "latest", "link": "data/v2"}
    {"path": "empty", "dir": true}
Names that are not UTF-8 stand in it as Python's surrogate escapes. The snapshot's id is the sha256 of its bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from typing import Any, Dict, Iterable, List, Mapping, Set

Entry = Dict[str, Any]

PLAIN = "644"
EXECUTABLE = "755"
_SHA256 = re.compile(r"[0-9a-f]{64}")


def encode(entries: Iterable[Mapping[str, Any]]) -> bytes:
    """The one way to write these entries down; equal folders give equal bytes."""
    ordered = sorted(entries, key=lambda entry: os.fsencode(entry["path"]))
    return json.dumps(ordered, separators=(",", ":"), sort_keys=True, ensure_ascii=True).encode("ascii")


def identify(content: bytes) -> str:
    """The id of the snapshot whose manifest has these bytes."""
    return hashlib.sha256(content).hexdigest()


def decode(content: bytes) -> List[Entry]:
    """The entries of a manifest. Raises ValueError where one of them could write outside the destination."""
    entries = json.loads(content)
    if not isinstance(entries, list):
        raise ValueError("a manifest is a list of entries")
    folders: Set[str] = set()
    leaves: Set[str] = set()
    for entry in entries:
        _check(entry)
        path: str = entry["path"]
        if path in leaves:
            raise ValueError(f"the manifest names {path!r} twice")
        leaves.add(path)
        folders.update(ancestors(path))
    solid = {entry["path"] for entry in entries if "dir" not in entry}
    for path in folders & solid:
        raise ValueError(f"the manifest uses {path!r} as a folder, but it is a file or a link")
    return entries


def ancestors(path: str) -> List[str]:
    """The folders that `path` lies in, outermost first: `a/b/c` gives `a` and `a/b`."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def link_stays_inside(path: str, target: str) -> bool:
    """Whether a link at `path` with this target stays inside by its text alone, wherever the folder is put.

    `..` may stand only in front, at most as often as the link is deep: behind a name, which may itself be a link,
    it could lead anywhere.
    """
    if not target or target.startswith("/") or "\0" in target:
        return False
    depth = path.count("/")
    parts = [part for part in target.split("/") if part not in ("", ".")]
    climbs = 0
    while climbs < len(parts) and parts[climbs] == "..":
        climbs += 1
    return climbs <= depth and ".." not in parts[climbs:]


def _check(entry: Any) -> None:
    if not isinstance(entry, dict) or not isinstance(entry.get("path"), str):
        raise ValueError("an entry of a manifest is an object with a path")
    path = entry["path"]
    if "\0" in path or any(part in ("", ".", "..") for part in path.split("/")):
        raise ValueError(f"unsafe path in the manifest: {path!r}")
    if "link" in entry:
        if not isinstance(entry["link"], str) or not link_stays_inside(path, entry["link"]):
            raise ValueError(f"unsafe link in the manifest: {path!r} -> {entry['link']!r}")
    elif entry.get("dir") is not True:
        _check_file(path, entry)


def _check_file(path: str, entry: Mapping[str, Any]) -> None:
    sha256, size = entry.get("sha256"), entry.get("size")
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise ValueError(f"no sha256 in the manifest for {path!r}")
    if not isinstance(size, int) or size < 0 or entry.get("mode") not in (PLAIN, EXECUTABLE):
        raise ValueError(f"no size or mode in the manifest for {path!r}")
