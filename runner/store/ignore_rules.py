"""Decides what a snapshot leaves out: the ignore file at the root of the folder, with git's own rules, and secrets."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import SnapshotError
from runner.store.workspace import WORKSPACE_FOLDER

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable

# The first that exists is read and the other is not (azureml-v1.md 1.7); those in subfolders are never read.
IGNORE_FILES = (".amlignore", ".gitignore")
ALWAYS_LEFT_OUT = frozenset({".git", WORKSPACE_FOLDER})
SECRET_NAMES = (".env", "*.pem", "id_*")

# The group by which pathspec's expressions mark the "/" that ends a matched folder.
_FOLDER_END = "ps_d"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One line of an ignore file.

    `is_anchored`: it is matched against the whole path; else against the last name only, as git does.
    `is_for_contents`: it ends in `/**`, which means what is in the folder and not the folder, so that a `!` line
    can take some of it in again.
    """

    is_ignoring: bool
    is_anchored: bool
    is_for_contents: bool
    is_for_folders: bool
    expression: re.Pattern[str]

    def matches(self, path: str, *, is_folder: bool) -> bool:
        """Whether the line means this very entry, and not merely a folder above it."""
        if self.is_for_contents:
            return (is_folder or not self.is_for_folders) and self.expression.search(path) is not None
        subject = path if self.is_anchored else path.rpartition("/")[2]
        if is_folder:
            subject += "/"
        found = self.expression.search(subject)
        if found is None:
            return False
        if _FOLDER_END not in self.expression.groupindex or found[_FOLDER_END] is None:
            return True
        return found.end(_FOLDER_END) == len(subject)


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnoreRules:
    """The lines of one ignore file, in order; the last that matches decides."""

    source: str | None
    rules: tuple[Rule, ...]

    def verdict(self, path: str, *, is_folder: bool) -> bool | None:
        """True: ignored; False: taken in again by a `!` line; None: no line speaks of it.

        `path` is relative with `/` between names. Folders above it must not be ignored: nobody looks into those.
        """
        # No line of an ignore file can hold a newline, but `*` and `?` match one in a name.
        subject = path.replace("\n", "\x01")
        for rule in reversed(self.rules):
            if rule.matches(subject, is_folder=is_folder):
                return rule.is_ignoring
        return None


def read_ignore_rules(folder: Path) -> IgnoreRules:
    """The rules of `folder`; none where it has no ignore file. Raises SnapshotError where that cannot be read."""
    for name in IGNORE_FILES:
        path = folder / name
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise SnapshotError(f"{path}: cannot be read: {error.strerror}") from error
        lines = content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape").split("\n")
        return IgnoreRules(source=name, rules=parse_rules(line.removesuffix("\r") for line in lines))
    return IgnoreRules(source=None, rules=())


def parse_rules(lines: Iterable[str]) -> tuple[Rule, ...]:
    """The rules that `lines` hold. As git does, a line that is no valid pattern is passed over."""
    # Loaded only where there is an ignore file: it costs a third of the time of `runner --help`.
    import pathspec

    rules = []
    for line in lines:
        try:
            patterns = pathspec.GitIgnoreSpec.from_lines([line]).patterns
        except ValueError:
            continue
        for pattern in patterns:
            if pattern.include is not None and pattern.regex is not None:
                rules.append(_rule(line, pattern.include, pattern.regex))
    return tuple(rules)


def is_secret(name: str) -> bool:
    """Whether a file of that name probably holds a secret: `.env`, a PEM file, an SSH key."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in SECRET_NAMES)


def _rule(line: str, is_ignoring: bool, expression: re.Pattern[str]) -> Rule:
    body = line.strip().removeprefix("!")
    stem = body.removesuffix("/")
    # `/**` and its like mean everything at any depth, whatever it lies in.
    is_for_all = all(part in ("", "**") for part in stem.split("/"))
    return Rule(
        is_ignoring=is_ignoring,
        # A slash before the end anchors: gitignore(5), the fourth point on patterns.
        is_anchored="/" in stem and not is_for_all,
        is_for_contents=stem.endswith("/**") and not is_for_all,
        is_for_folders=body.endswith("/"),
        expression=expression,
    )
