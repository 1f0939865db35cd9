"""The text of a requirements file for machines that do not have the files beside it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from runner.errors import ConfigError

_INCLUDE = re.compile(r"^\s*(?:-r|--requirement)(?:\s*=\s*|\s+|(?<=-r)(?=\S))(?P<path>.+?)\s*(?:#.*)?$")
_LOCAL = re.compile(r"^\s*(?:(?:-e|--editable|-c|--constraint|-f|--find-links)[\s=]+)?(?P<path>\.{1,2}/\S*|file:\S+)")
_DEPTH_LIMIT = 20


def read_for_other_machines(path: Path, *, depth: int = 0) -> str:
    """The requirements in `path` with those that it includes (`-r other.txt`) in their places.

    Raises ConfigError, with file and line, for a path that only this machine has: a node has no such folder.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the requirements cannot be read: {error}", source=str(path)) from error
    taken = []
    for number, line in enumerate(lines, 1):
        include, local = _INCLUDE.match(line), _LOCAL.match(line)
        if include is not None and depth < _DEPTH_LIMIT:
            words = shlex.split(include["path"])
            taken.append(read_for_other_machines(path.parent / words[0], depth=depth + 1).rstrip("\n"))
        elif local is not None:
            raise ConfigError(
                f"'{local['path']}' is a path on this machine, which the nodes of an SSH target do not have",
                source=str(path),
                line=number,
                column=line.index(local["path"]) + 1,
                hint="name a package of an index, or an absolute path that every node has",
            )
        else:
            taken.append(line)
    return "\n".join(taken) + "\n"
