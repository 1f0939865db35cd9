"""A tar archive with one file in it: the shape in which an engine takes a file into a container."""

from __future__ import annotations

import io
import tarfile


def one_file_tar(name: str, content: bytes) -> bytes:
    """The archive; unpacked in a folder it gives the file `name`, which everybody may read."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(content), 0o644
        archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()
