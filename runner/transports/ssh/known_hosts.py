"""Knows which keys the machines have: reads OpenSSH's known_hosts files, and appends to the workspace's own.

A line is `[@marker] hosts keytype base64 [comment]`; hosts are patterns joined by commas, or one hashed name. Lines
that say nothing to us (@cert-authority, key types of the future, comments, rubbish) are passed over and stay where they
are: no file is ever rewritten.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import functools
import hashlib
import hmac
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from runner.errors import MachineError
from sidecar.contract import publish

SYSTEM_FILE = Path("/etc/ssh/ssh_known_hosts")
REVOKED = "@revoked"
CERT_AUTHORITY = "@cert-authority"
_HASHED = "|1|"
_BRACKETED = re.compile(r"\[(.+)\]:\d+")
_APPENDING = threading.Lock()


class HostKey(NamedTuple):
    """A public key as it travels: its type, and its bytes."""

    kind: str
    content: bytes

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` shows it."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.content).digest()).decode("ascii").rstrip("=")

    def __str__(self) -> str:
        return f"{self.kind} {self.fingerprint}"


class KnownLine(NamedTuple):
    """One line of a file that has a key."""

    path: Path
    number: int
    marker: str
    hosts: str
    key: HostKey

    @property
    def place(self) -> str:
        """For a person."""
        return f"{self.path}:{self.number}"


class Standing(Enum):
    """What the files say of a key that a machine offers."""

    KNOWN = "known"
    NEW = "new"
    CHANGED = "changed"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A standing, with the line that decided it where one did."""

    standing: Standing
    line: KnownLine | None = None


class KnownHosts:
    """The files that count, in order; `own` is the one among them that new keys are written to."""

    def __init__(self, paths: Sequence[Path], own: Path) -> None:
        self._paths = tuple(paths)
        self._own = own

    @property
    def own(self) -> Path:
        """Where accepted keys are written."""
        return self._own

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file that counts."""
        return (*self._paths, self._own)

    def kinds(self, name: str) -> tuple[str, ...]:
        """The key types known of the host; empty where none is. `name` is `host` or `[host]:port`."""
        return tuple(dict.fromkeys(line.key.kind for line in self._lines_of(name) if not line.marker))

    def has_authority(self, name: str) -> bool:
        """Whether a certificate authority is to speak for the host, which the runner cannot ask."""
        return any(line.marker == CERT_AUTHORITY for line in self._lines_of(name))

    def judge(self, name: str, key: HostKey) -> Verdict:
        """What the files say when the host called `name` offers `key`."""
        lines = self._lines_of(name)
        for line in lines:
            if line.marker == REVOKED and line.key == key:
                return Verdict(standing=Standing.REVOKED, line=line)
        for line in lines:
            if not line.marker and line.key == key:
                return Verdict(standing=Standing.KNOWN, line=line)
        others = sorted((line for line in lines if not line.marker), key=lambda line: line.key.kind != key.kind)
        if others:
            return Verdict(standing=Standing.CHANGED, line=others[0])
        return Verdict(standing=Standing.NEW)

    def remember(self, name: str, key: HostKey) -> None:
        """Appends one line to the own file, in one write, unless it is there. Raises OSError."""
        with _APPENDING:
            if self.judge(name, key).standing is Standing.KNOWN:
                return
            self._own.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            content = base64.b64encode(key.content).decode("ascii")
            publish.append_line(self._own, f"{name} {key.kind} {content}".encode("ascii"))

    def _lines_of(self, name: str) -> list[KnownLine]:
        """The lines that speak of `name`; for a host with a port of its own, else those of the host alone (as ssh)."""
        lines = [line for path in self.paths for line in _read(path)]
        found = [line for line in lines if matches(line.hosts, name)]
        bracketed = _BRACKETED.fullmatch(name)
        if bracketed is not None and not any(not line.marker for line in found):
            found += [line for line in lines if matches(line.hosts, bracketed[1])]
        return found


def matches(hosts: str, name: str) -> bool:
    """Whether the second field of a line speaks of `name`."""
    if hosts.startswith(_HASHED):
        return _matches_hash(hosts, name)
    is_match = False
    for pattern in hosts.lower().split(","):
        if pattern.startswith("!"):
            if _matches_pattern(pattern[1:], name):
                return False
        elif _matches_pattern(pattern, name):
            is_match = True
    return is_match


def _matches_pattern(pattern: str, name: str) -> bool:
    if "*" not in pattern and "?" not in pattern:
        return pattern == name
    # A bracket means itself here, as in `[host]:2222`.
    return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))


def _matches_hash(hosts: str, name: str) -> bool:
    salt, _, digest = hosts[len(_HASHED) :].partition("|")
    try:
        key, expected = base64.b64decode(salt), base64.b64decode(digest)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(hmac.digest(key, name.encode("utf-8"), "sha1"), expected)


def _read(path: Path) -> tuple[KnownLine, ...]:
    try:
        state = path.stat()
        return _parse(path, state.st_mtime_ns, state.st_size)
    except (FileNotFoundError, NotADirectoryError):
        return ()  # A file that is not there knows nobody, and strictness does the rest.
    except OSError as error:
        # What cannot be read may say that the key changed, or was revoked: no key is new until it can be read.
        raise MachineError(f"{path} cannot be read: {error.strerror}", hint="is it yours, and readable?") from error


@functools.lru_cache(maxsize=16)
def _parse(path: Path, mtime_ns: int, size: int) -> tuple[KnownLine, ...]:
    """The lines of a file; a changed one has another time or size, and is read again."""
    return tuple(_lines(path, path.read_bytes().decode("utf-8", "surrogateescape")))


def _lines(path: Path, text: str) -> Iterator[KnownLine]:
    for number, line in enumerate(text.split("\n"), start=1):
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        marker = fields.pop(0) if fields[0].startswith("@") else ""
        if len(fields) < 3:
            continue
        try:
            content = base64.b64decode(fields[2], validate=True)
        except (binascii.Error, ValueError):
            continue
        yield KnownLine(path, number, marker, fields[0], HostKey(fields[1], content))
