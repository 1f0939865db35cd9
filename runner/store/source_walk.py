"""Finds what a snapshot of a source folder holds, without opening a single file, and refuses what it cannot hold."""

from __future__ import annotations

import heapq
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

from runner.errors import SnapshotError
from runner.store.ignore_rules import ALWAYS_LEFT_OUT, IgnoreRules, is_secret
from sidecar.contract import settings
from sidecar.contract.snapshot_manifest import link_stays_inside

BYTES_PER_MB = 1024 * 1024
# Where even counting stops: higher makes the refusal of a whole home folder slow, lower makes its numbers vague.
_COUNTED_AT_MOST = 100_000
_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A file, a link (`target` is set) or an empty folder, by its path in the source folder with `/` between names."""

    path: str
    size_bytes: int = 0
    target: str | None = None
    is_folder: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a snapshot may hold."""

    size_bytes: int
    files: int


@dataclass(slots=True)
class Findings:
    """What a walk found. `withheld` are files left out because they look like secrets; `problems` are refusals."""

    entries: list[Found] = field(default_factory=list)
    withheld: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    file_count: int = 0
    size_bytes: int = 0
    is_cut_short: bool = False


def shown(path: str) -> str:
    """`path` for a message: whatever a terminal should not get is escaped."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in path)


def walk(root: str, rules: IgnoreRules, *, skipped: frozenset[str], include_secrets: bool, limits: Limits) -> Findings:
    """Everything in `root` that belongs into its snapshot; folders that are ignored are not looked into.

    `root` is a resolved path; `skipped` are paths in it that are left out whatever the rules say. Raises
    SnapshotError where it is over a limit, or holds what cannot be kept: a link that leaves it, a socket, an
    unreadable folder.
    """
    findings = Findings()
    waiting = [""]
    most = max(_COUNTED_AT_MOST, limits.files)
    while waiting:
        folder = waiting.pop()
        before = len(findings.entries) + len(waiting)
        for entry in _scan(root, folder):
            path = folder + entry.name
            if entry.name in ALWAYS_LEFT_OUT or path in skipped:
                continue
            is_folder = entry.is_dir(follow_symlinks=False)
            verdict = rules.verdict(path, is_folder=is_folder)
            if verdict is True:
                continue
            if is_folder:
                waiting.append(path + "/")
            elif not include_secrets and verdict is None and is_secret(entry.name):
                findings.withheld.append(path)
            else:
                _add(findings, root, path, entry)
        if folder and len(findings.entries) + len(waiting) == before:
            findings.entries.append(Found(path=folder[:-1], is_folder=True))
        if len(findings.entries) > most:
            findings.is_cut_short = True
            break
    _refuse_too_much(findings, root, rules, limits)
    _refuse_problems(findings, root, rules)
    return findings


def _scan(root: str, folder: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(os.path.join(root, folder)) as entries:
            yield from entries
    except (FileNotFoundError, NotADirectoryError):
        # Removed since its name was read: the folder as it is now does not hold it.
        return
    except OSError as error:
        raise SnapshotError(
            f"{root}: the folder {shown(folder) or '.'} cannot be read: {error.strerror}",
            hint="make it readable, or name it in .amlignore",
        ) from error


def _add(findings: Findings, root: str, path: str, entry: os.DirEntry[str]) -> None:
    try:
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            target = _kept_target(root, path)
            if target is None:
                findings.problems.append(
                    f"the link {shown(path)} leaves the folder: -> {shown(_read_link(root, path))}"
                )
            else:
                findings.entries.append(Found(path=path, target=target))
                findings.file_count += 1
            return
    except FileNotFoundError:
        return
    if not stat.S_ISREG(status.st_mode):
        findings.problems.append(f"{shown(path)} is a {_kind(status.st_mode)}, not a file")
        return
    findings.entries.append(Found(path=path, size_bytes=status.st_size))
    findings.file_count += 1
    findings.size_bytes += status.st_size


def _kind(mode: int) -> str:
    if stat.S_ISFIFO(mode):
        return "FIFO"
    return "socket" if stat.S_ISSOCK(mode) else "device"


def _read_link(root: str, path: str) -> str:
    return os.readlink(os.path.join(root, path))


def _kept_target(root: str, path: str) -> str | None:
    """The target under which the link means the same thing in a copy of the folder; None where it leads outside."""
    place = os.path.join(root, path)
    real = os.path.realpath(place)
    if real != root and not real.startswith(root.rstrip("/") + "/"):
        return None
    target = _read_link(root, path)
    if link_stays_inside(path, target):
        return target
    # Absolute, or out and in again: only the way is wrong, not the place.
    return os.path.relpath(real, os.path.dirname(place))


def _refuse_too_much(findings: Findings, root: str, rules: IgnoreRules, limits: Limits) -> None:
    counted = ("more than " if findings.is_cut_short else "") + f"{findings.file_count} files"
    size = _megabytes(findings.size_bytes)
    raising = []
    faults = []
    if findings.size_bytes > limits.size_bytes:
        faults.append(f"its total size of {size} exceeds the limit of {_megabytes(limits.size_bytes)}")
        raising.append(settings.SNAPSHOT_LIMIT_MB)
    if findings.is_cut_short or len(findings.entries) > limits.files:
        faults.append(f"its {counted} exceed the limit of {limits.files} files")
        raising.append(settings.SNAPSHOT_LIMIT_FILES)
    if not faults:
        return
    lines = [f"cannot take a snapshot of {shown(root)}: {' and '.join(faults)} ({counted}, {size})"]
    lines.append("  largest files:")
    largest = heapq.nlargest(_SHOWN, findings.entries, key=lambda found: found.size_bytes)
    lines += [f"    {_megabytes(found.size_bytes):>12}  {shown(found.path)}" for found in largest]
    if settings.SNAPSHOT_LIMIT_FILES in raising:
        lines.append("  folders with the most files:")
        lines += [f"    {count:>6} files  {shown(folder)}" for folder, count in _fullest_folders(findings)]
    raise SnapshotError(
        "\n".join(lines),
        hint=f"name what the job does not need in {rules.source or '.amlignore'}, or raise {' and '.join(raising)}",
    )


def _fullest_folders(findings: Findings) -> list[tuple[str, int]]:
    counts: dict[str, int] = {}
    for found in findings.entries:
        folder = found.path.rpartition("/")[0] or "."
        counts[folder] = counts.get(folder, 0) + 1
    return heapq.nlargest(_SHOWN, counts.items(), key=lambda item: item[1])


def _refuse_problems(findings: Findings, root: str, rules: IgnoreRules) -> None:
    if not findings.problems:
        return
    lines = [f"cannot take a snapshot of {shown(root)}:"]
    lines += [f"  {problem}" for problem in findings.problems[:_SHOWN]]
    if len(findings.problems) > _SHOWN:
        lines.append(f"  and {len(findings.problems) - _SHOWN} more")
    raise SnapshotError(
        "\n".join(lines), hint=f"remove it, copy what it points to, or name it in {rules.source or '.amlignore'}"
    )


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / BYTES_PER_MB:.1f} MB" if size_bytes >= BYTES_PER_MB / 10 else f"{size_bytes} bytes"
