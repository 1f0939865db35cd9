"""Durable writing: a file is there whole or not at all, and a record is appended in one system call."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional

_COMPACT = (",", ":")


def write_whole(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replaces `path` by `content`: readers see the old bytes or the new, and the new survive a power cut.

    Raises OSError (a full disk, say) and leaves the old file as it was.
    """
    temporary = _temporary(path)
    try:
        _write_and_sync(temporary, content, mode)
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    sync_folder(path.parent)


def create_once(path: Path, content: bytes, *, mode: int = 0o600) -> bool:
    """Creates `path` with `content` unless it exists; exactly one of several callers gets True.

    Who gets True knows that the whole content is durable; the file never shows with less than all of it.
    """
    temporary = _temporary(path)
    try:
        _write_and_sync(temporary, content, mode)
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
    sync_folder(path.parent)
    return True


def remove_leftovers(path: Path) -> None:
    """Removes what `write_whole(path)` and `create_once(path)` left where their processes were killed in the middle.

    A file of a process that lives is left alone, the caller's own pid excepted: call it before writing `path`.
    """
    prefix = f".{path.name}."
    with contextlib.suppress(OSError):
        for name in os.listdir(path.parent):
            pid = name[len(prefix) :].partition(".")[0]
            if name.startswith(prefix) and name.endswith(".tmp") and pid.isdigit():
                if int(pid) == os.getpid() or not os.path.exists(f"/proc/{pid}"):
                    os.unlink(path.with_name(name))


def _temporary(path: Path) -> Path:
    """A name that nobody else has: two containers, or two machines, may have processes of the same number."""
    return path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")


def _write_and_sync(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        write_all(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, content: bytes) -> None:
    """Writes every byte, through short writes; raises OSError where the disk takes no more."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_folder(folder: Path) -> None:
    """Makes the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def to_json(value: Mapping[str, Any]) -> bytes:
    """`value` on one line; keys keep their order, text keeps its letters, lone surrogates become escapes."""
    text = json.dumps(value, separators=_COMPACT, ensure_ascii=False)
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, separators=_COMPACT).encode("ascii")


def append_record(path: Path, record: Mapping[str, Any]) -> None:
    """Appends one JSON line in a single write; several processes may append to one file without tearing it."""
    append_line(path, to_json(record))


def append_line(path: Path, line: bytes) -> None:
    """Appends `line` and a newline in a single write.

    Behind half a line, which a full disk or a kill left there, it starts a line of its own: only that half is lost.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        is_torn = size > 0 and os.pread(descriptor, 1, size - 1) not in (b"\n", b"")
        write_all(descriptor, (b"\n" if is_torn else b"") + line + b"\n")
    finally:
        os.close(descriptor)


def read_record(path: Path) -> Optional[Dict[str, Any]]:
    """The JSON object in `path`; None where there is no such file. Raises ValueError where it holds something else."""
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    value = json.loads(content)
    if not isinstance(value, dict):
        raise ValueError(f"{path} does not hold a JSON object")
    return value


def read_records(path: Path, *, offset: int = 0) -> List[Dict[str, Any]]:
    """Every whole JSON line of `path` from byte `offset`; a torn last line waits, a broken one is passed over."""
    return [record for record, _ in iterate_records(path, offset=offset)]


def parse_records(content: bytes) -> List[Dict[str, Any]]:
    """Every whole JSON line of `content`; a torn last line and broken ones are passed over."""
    lines = content.split(b"\n")[:-1]
    return [record for line in lines if (record := _parse(line)) is not None]


def iterate_records(path: Path, *, offset: int = 0) -> Iterator[tuple[Dict[str, Any], int]]:
    """(record, offset behind it) for every whole JSON line of `path` from byte `offset`."""
    try:
        with open(path, "rb") as stream:
            stream.seek(offset)
            for line in stream:
                if not line.endswith(b"\n"):
                    return
                offset += len(line)
                record = _parse(line)
                if record is not None:
                    yield record, offset
    except FileNotFoundError:
        return


def _parse(line: bytes) -> Optional[Dict[str, Any]]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def drop_torn_tail(path: Path) -> None:
    """Cuts an unfinished last line off a file of records, so that the next append starts on a line of its own."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        end = size = os.fstat(descriptor).st_size
        while end > 0:
            start = max(0, end - 1024 * 1024)
            newline = os.pread(descriptor, end - start, start).rfind(b"\n")
            end = start if newline < 0 else start + newline + 1
            if newline >= 0:
                break
        if end < size:
            os.ftruncate(descriptor, end)
    finally:
        os.close(descriptor)
