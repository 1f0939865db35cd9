"""The one command that is run on a bare node: finds a Python there, and has it read and become `sidecar/landing.py`.

The command is a constant: nothing of the run stands in it, so no shell can read anything into it. It has no quote,
backslash, exclamation mark or newline between its single quotes, so that sh, csh and fish all pass it on unchanged.
"""

from __future__ import annotations

import functools
import zlib
from dataclasses import dataclass
from pathlib import Path

from sidecar import contract

# The same as in sidecar/landing.py.
LANDING_MARKER = b"@scriptrun-landing "
NO_PYTHON_MARKER = b"@scriptrun-no-python "
OLDEST_PYTHON = (3, 9)

_MINORS = range(15, OLDEST_PYTHON[1] - 1, -1)
_NAMES = ("python3", *(f"python3.{minor}" for minor in _MINORS))
_PLACES = (
    "/usr/local/bin",
    "/usr/bin",
    "~/.local/bin",
    "~/miniconda3/bin",
    "~/miniforge3/bin",
    "~/anaconda3/bin",
    "/opt/conda/bin",
    "/opt/python/bin",
)
# t FILE: becomes that Python. A link to a neighbour that bears its version is believed; any other interpreter is asked,
# also where it really is: what stands on the PATH may be a slow shim. Nothing here starts a process on the usual way:
# with many nodes in one machine, or one slow machine, every process counts.
_SCRIPT = (
    "t() {{ "
    'q=$1; [ -f "$q" ] && [ -x "$q" ] || return; k=; '
    'if [ -L "$q" ]; then for v in {minors}; do '
    'if [ "$q" -ef "${{q%/*}}/python3.$v" ]; then k=1; break; fi; done; fi 2>/dev/null; '
    'if [ -z "$k" ]; then '
    'r=$("$q" -sSE -c "import sys;sys.version_info<(3,9)or print(sys.executable)" 2>/dev/null); '
    '[ -x "$r" ] || {{ o="$o $q"; return; }}; q=$r; '
    "fi; "
    'exec "$q" -sSE -c "import io,zlib;'
    'exec(zlib.decompress(io.BufferedReader(io.FileIO(0,closefd=False),1).read({size})))"; '
    "}}; "
    "set -f; IFS=:; "
    'for n in {names}; do for d in $PATH; do t "${{d:-.}}/$n"; done; done; '
    'for d in {places}; do t "$d/python3"; done; '
    'echo; echo "{marker}$o"; exit 3'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """A command for the login shell, and the bytes that it reads first from its standard input."""

    command: str
    program: bytes


@functools.cache
def make_bootstrap() -> Bootstrap:
    """The command and the program; always the same for one version of the runner."""
    source = (Path(contract.__file__).parents[1] / "landing.py").read_bytes()
    program = zlib.compress(source, 9)
    homes = [place.replace("~", "$HOME", 1) for place in _PLACES]
    script = _SCRIPT.format(
        minors=" ".join(map(str, _MINORS)),
        names=" ".join(_NAMES),
        places=" ".join(f'"{home}"' for home in homes),
        size=len(program),
        marker=NO_PYTHON_MARKER.decode("ascii"),
    )
    assert not set(script) & set("'\\!\n"), "some shell would read one of these"
    return Bootstrap(command=f"sh -c '{script}'", program=program)
