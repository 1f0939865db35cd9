"""Finds the interpreter that a config names and proves that it is a Python that can run jobs."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Mapping, NamedTuple, Optional, Tuple

from sidecar.contract import interpreters
from sidecar.environments.failure import BuildFailed

# The in-job code starts on this and newer; an older one would fail inside the job, where it is harder to understand.
_OLDEST = (3, 8)
# Starting Python takes 20 ms from a local disk and some seconds from a cold network disk; longer is a hang.
_TIMEOUT_S = 30
_GREETING = "scriptrun-python"
# Any Python parses this, 2 included, so that an old one is called old and not broken. `_base_executable` leads out of
# a virtual environment.
_QUESTION = (
    "import os,sys;"
    "e=getattr(sys,'_base_executable',None) or sys.executable;"
    "n=getattr(getattr(sys,'implementation',None),'name','cpython');"
    f"sys.stdout.write('\\n'.join(['{_GREETING}','.'.join(map(str,sys.version_info[:3])),n,os.path.realpath(e)]))"
)


class Python(NamedTuple):
    """A Python that works. `path` is how it is started, `base` the real file behind it and behind its environment."""

    path: str
    base: str
    version: str
    implementation: str


def find(interpreter_path: Optional[str], environ: Mapping[str, str]) -> Python:
    """The Python that `interpreter_path` names (None: the one that runs this); one process is started to ask it.

    Raises BuildFailed where it is missing, not executable, no Python, or older than 3.8.
    """
    path = interpreters.resolve_interpreter(interpreter_path, environ)
    if path is None:
        assert interpreter_path is not None, "the runner's own interpreter is always found"
        raise BuildFailed(
            f"the interpreter {interpreter_path} {_absence(interpreter_path)}",
            hint="set environment.python.interpreter_path to a Python 3.8 or newer on this node",
        )
    if path == sys.executable:
        return _own()
    python = _ask(path, environ)
    if _numbers(python.version) < _OLDEST:
        raise BuildFailed(
            f"the interpreter {path} is Python {python.version}, and jobs need 3.8 or newer",
            hint="set environment.python.interpreter_path to a newer Python",
        )
    return python


def _absence(interpreter_path: str) -> str:
    path = os.path.expanduser(interpreter_path)
    if os.sep not in path:
        return "is not on the PATH"
    if os.path.isdir(path):
        return "is a folder"
    return "may not be executed" if os.path.exists(path) else "does not exist"


def _own() -> Python:
    base = getattr(sys, "_base_executable", None) or sys.executable
    version = ".".join(map(str, sys.version_info[:3]))
    return Python(sys.executable, os.path.realpath(base), version, sys.implementation.name)


def _ask(path: str, environ: Mapping[str, str]) -> Python:
    try:
        answer = subprocess.run(
            # -S: site-packages need not be read to answer.
            [path, "-S", "-c", _QUESTION],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        raise BuildFailed(f"the interpreter {path} did not answer within {_TIMEOUT_S} s") from None
    except OSError as error:
        raise BuildFailed(
            f"the interpreter {path} cannot be started: {error.strerror}", hint="is it built for this machine?"
        ) from error
    # A site's own start-up code may print first.
    _, greeting, rest = os.fsdecode(answer.stdout).partition(_GREETING)
    if answer.returncode != 0 or not greeting:
        last_lines = answer.stderr.decode("utf-8", "replace").splitlines()[-10:]
        reason = f" (exit code {answer.returncode}{': ' + last_lines[-1] if last_lines else ''})"
        raise BuildFailed(
            f"{path} is not a working Python{reason}",
            hint=f"try: {path} -c 'print(1)'",
            last_lines=last_lines,
        )
    version, implementation, base = rest.strip("\n").split("\n", 2)
    return Python(path, base, version, implementation)


def _numbers(version: str) -> Tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
