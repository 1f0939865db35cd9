"""Finds interpreters and conda on a PATH, alike on the side that submits and on a node; nothing is run."""

from __future__ import annotations

import os
import shutil
import sys
from typing import Mapping, Optional

# In the order in which they are looked for: who has conda has configured conda.
CONDA_PROGRAMS = ("conda", "mamba", "micromamba")


def find_on_path(name: str, environ: Mapping[str, str]) -> Optional[str]:
    """The absolute path of the program `name`; None where PATH has none that may be executed."""
    found = shutil.which(name, path=environ.get("PATH", os.defpath))
    return None if found is None else os.path.abspath(found)


def resolve_interpreter(interpreter_path: Optional[str], environ: Mapping[str, str]) -> Optional[str]:
    """The absolute path of the interpreter a config names: None is the runner's own, a bare name is looked up on PATH.

    None where there is no such program, or where it may not be executed. Links are kept: a virtual environment is
    known by the path it is started by.
    """
    if interpreter_path is None:
        return sys.executable
    path = os.path.expanduser(interpreter_path)
    if os.sep not in path:
        return find_on_path(path, environ)
    path = os.path.abspath(path)
    return path if os.path.isfile(path) and os.access(path, os.X_OK) else None


def find_conda(environ: Mapping[str, str]) -> Optional[str]:
    """The absolute path of conda, mamba or micromamba; None where PATH has none of them."""
    for name in CONDA_PROGRAMS:
        found = find_on_path(name, environ)
        if found is not None:
            return found
    return None
