"""Reads pip requirements: what an installer is given, and what about them decides that two environments are equal."""

from __future__ import annotations

import os
import re
import shlex
from typing import Iterator, List, NamedTuple, Optional, Set, Tuple
from urllib.parse import unquote

from sidecar.environments import local_content
from sidecar.environments.failure import BuildFailed

_COMMENT = re.compile(r"(^|\s+)#.*$")
_INCLUDE = re.compile(r"(?P<option>-r|-c|--requirement|--constraint)(?:\s*=\s*|\s+|(?<=^-[rc])(?=\S))(?P<path>.+)")
_FIND_LINKS = re.compile(r"(?P<option>-f|--find-links)(?:\s*=\s*|\s+)(?P<path>.+)")
_EDITABLE = re.compile(r"(?P<option>-e|--editable)(?:\s*=\s*|\s+)(?P<path>.+)")
_ARCHIVES = (".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+@")
_DEPTH_LIMIT = 20  # files that include files; a loop is cut anyway, this cuts a ladder


class Requirements(NamedTuple):
    """Requirements as read. `lines` go to the installer, with paths made absolute; `identity` goes into the key."""

    lines: Tuple[str, ...]
    identity: Tuple[str, ...]

    @property
    def shown(self) -> Tuple[str, ...]:
        """The lines for a log, without passwords."""
        return tuple(_CREDENTIALS.sub("****@", line) for line in self.lines)


def read(text: str, folder: Optional[str]) -> Requirements:
    """Reads the content of a requirements file that lies in `folder` (None: a list, whose paths must be absolute).

    Raises BuildFailed where a file or folder that it names is not there.
    """
    lines: List[str] = []
    identity: List[str] = []
    for line in _logical_lines(text):
        lines.append(_with_absolute_path(line, folder))
        identity.append(line)
        identity += _content_of(line, folder, seen=set())
    return Requirements(tuple(lines), tuple(identity))


def _logical_lines(text: str) -> Iterator[str]:
    """The lines without comments and blanks, with those joined that end in a backslash, as pip joins them."""
    joined = ""
    for line in text.lstrip("\ufeff").splitlines():
        is_comment = line.lstrip().startswith("#")
        if line.endswith("\\") and not is_comment:
            joined += line[:-1]
            continue
        whole = _COMMENT.sub("", joined + ("" if is_comment and joined else line)).strip()
        joined = ""
        if whole:
            yield whole
    if joined.strip():
        yield joined.strip()


def _with_absolute_path(line: str, folder: Optional[str]) -> str:
    """`line` as it means the same from another file: pip and uv do not agree what a path is relative to."""
    for kind in (_INCLUDE, _FIND_LINKS):
        found = kind.fullmatch(line)
        if found is not None:
            return f"{found['option']} {shlex.quote(_resolve(_unquote(found['path']), folder, line))}"
    prefix, body = _split_editable(line)
    path = _local_path(body)
    if path is None or body.startswith("file:") or " @ " in body:
        return line
    return f"{prefix}{body.replace(path, _resolve(path, folder, line), 1)}"


def _content_of(line: str, folder: Optional[str], *, seen: Set[str]) -> List[str]:
    """What stands behind the paths in `line`: lines of included files, hashes of wheels and project folders."""
    include = _INCLUDE.fullmatch(line)
    if include is not None:
        return _content_of_include(_resolve(_unquote(include["path"]), folder, line), line, seen)
    prefix, body = _split_editable(line)
    path = _local_path(body)
    if path is None:
        return []
    place = _resolve(path, folder, line)
    try:
        content = [local_content.hash_path(place)]
    except OSError as error:
        raise BuildFailed(f"pip requirements name {line}, and {place}: {error.strerror}") from error
    # An editable project is used where it lies, so the same project elsewhere is another environment.
    return [*content, place] if prefix else content


def _content_of_include(place: str, line: str, seen: Set[str]) -> List[str]:
    if "://" in place or place in seen:
        return []
    if len(seen) >= _DEPTH_LIMIT:
        raise BuildFailed(f"pip requirements include more than {_DEPTH_LIMIT} files; the last is {place}")
    seen.add(place)
    try:
        with open(place, encoding="utf-8", errors="surrogateescape") as stream:
            text = stream.read()
    except OSError as error:
        raise BuildFailed(
            f"pip requirements say {line}, and {place}: {error.strerror}",
            hint="paths in a requirements file are relative to that file",
        ) from error
    identity = []
    for inner in _logical_lines(text):
        identity.append(inner)
        identity += _content_of(inner, os.path.dirname(place), seen=seen)
    return identity


def _split_editable(line: str) -> Tuple[str, str]:
    found = _EDITABLE.fullmatch(line)
    return ("", line) if found is None else (f"{found['option']} ", _unquote(found["path"]))


def _local_path(requirement: str) -> Optional[str]:
    """The path in a requirement such as `./pkg[extra] ; marker` or `pkg @ file:///srv/pkg.whl`; None where none is."""
    if requirement.startswith("-"):
        return None
    # Behind an address a marker needs a space before its semicolon; elsewhere it does not.
    body = re.split(r"\s;|;\s|\s--" if "://" in requirement else r";|\s--", requirement)[0].strip()
    if " @ " in body:
        body = body.split(" @ ", 1)[1].strip()
    if body.startswith("file:"):
        return unquote(re.sub(r"^file:(//(localhost)?(?=/))?", "", body).split("#")[0])
    body = re.sub(r"\[[^\]]*\]$", "", body)
    if "://" in body:
        return None
    is_path = body.startswith((".", "/", "~")) or "/" in body or body.endswith(_ARCHIVES)
    return body if is_path else None


def _resolve(path: str, folder: Optional[str], line: str) -> str:
    if "://" in path:
        return path
    path = os.path.expanduser(path)
    if os.path.isabs(path):
        return os.path.normpath(path)
    if folder is None:
        raise BuildFailed(
            f"pip requirements say {line}, and a list of requirements has no folder that a path could be relative to",
            hint="give an absolute path, or put the requirements into a file",
        )
    return os.path.normpath(os.path.join(folder, path))


def _unquote(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'" else text
