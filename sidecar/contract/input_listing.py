"""What a data set was when its run was submitted: names, sizes and times of its files, none of their contents.

A listing is a JSON object; its id is the sha256 of its bytes:
    {"root": "/data/digits", "file": null, "files": [["a/b.csv", 12, 1700000000000000000], ...], "folders": ["empty"]}
`file` is a name where the data set is that one file, and nothing else below `root`. Names that are not UTF-8 stand in
it as Python's surrogate escapes.
"""

from __future__ import annotations

import json
import os
from typing import List, NamedTuple, Optional


class ListedFile(NamedTuple):
    """One file: its path below the root, its size, and when it was changed last."""

    path: str
    size: int
    mtime_ns: int


class Listing(NamedTuple):
    """A data set; `folders` are the empty ones."""

    root: str
    file: Optional[str]
    files: List[ListedFile]
    folders: List[str]

    @property
    def place(self) -> str:
        """The path of the data set where it was submitted."""
        return os.path.join(self.root, self.file) if self.file is not None else self.root

    @property
    def size_bytes(self) -> int:
        """The size of all files."""
        return sum(file.size for file in self.files)

    def encode(self) -> bytes:
        """The one way to write the listing down."""
        files = sorted(map(list, self.files), key=lambda file: os.fsencode(str(file[0])))
        record = {"root": self.root, "file": self.file, "files": files, "folders": sorted(self.folders)}
        return json.dumps(record, separators=(",", ":"), sort_keys=True, ensure_ascii=True).encode("ascii")


def decode(content: bytes) -> Listing:
    """The listing in `content`. Raises ValueError where there is none."""
    record = json.loads(content)
    try:
        files = [ListedFile(str(path), int(size), int(mtime_ns)) for path, size, mtime_ns in record["files"]]
        return Listing(str(record["root"]), record["file"], files, [str(folder) for folder in record["folders"]])
    except (KeyError, TypeError) as error:
        raise ValueError(f"not the listing of a data set: {error}") from error
