"""Prepares the environment of a job: decides which one it is, finds it in the cache, or builds it there."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from pathlib import Path
from typing import Any, BinaryIO, Callable, List, Mapping, NamedTuple, Optional

from sidecar.contract import interpreters, publish
from sidecar.contract.stores import EnvironmentsLayout
from sidecar.environments import installers, interpreter, leftovers, requirements
from sidecar.environments.build_log import BuildLog
from sidecar.environments.cache import Slot
from sidecar.environments.failure import BuildFailed
from sidecar.environments.interpreter import Python
from sidecar.environments.requirements import Requirements

# Part of every key: raise it when environments are built in another way, and every old one is left alone.
_FORMAT = 1
# 128 bits cannot meet by chance, and longer paths break `#!` lines: old kernels read 127 bytes of them.
_KEY_DIGITS = 32


class Environment(NamedTuple):
    """A Python for a job. `key` and `cache_hit` are None where nothing had to be installed; `bin` goes on PATH."""

    interpreter: str
    key: Optional[str]
    cache_hit: Optional[bool]
    bin: str


class _Recipe(NamedTuple):
    """What an environment is made of. `python` is None where conda brings its own; `folder` is where paths start."""

    python: Optional[Python]
    requirements: Optional[Requirements]
    conda_text: Optional[str]
    folder: Optional[str]

    def key(self) -> str:
        """The same for the same content on the same Python and machine, whatever the environment is called."""
        parts = {
            "format": _FORMAT,
            "machine": os.uname().machine,
            "python": self.python and [self.python.base, self.python.version, self.python.implementation],
            "requirements": self.requirements and self.requirements.identity,
            "conda": self.conda_text and _conda_identity(self.conda_text),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode("ascii")).hexdigest()[:_KEY_DIGITS]


def prepare(spec: Mapping[str, Any], *, cache: Path, open_log: Callable[[], BinaryIO]) -> Environment:
    """The environment that `spec` asks for, from the cache or built now, in which case `open_log` is called once.

    `spec`: {"user_managed": bool, "interpreter_path": str|null, "pip_requirements": {"text", "folder"}|null,
    "conda_dependencies": {"text"}|null}. Raises BuildFailed, and then nothing of the environment is left.
    """
    is_built = not spec["user_managed"] and (spec["pip_requirements"] or spec["conda_dependencies"])
    if not is_built:
        python = interpreter.find(spec["interpreter_path"], os.environ)
        return Environment(python.path, None, None, os.path.dirname(python.path))
    recipe = _read_recipe(spec)
    slot = Slot(EnvironmentsLayout(Path(os.path.abspath(cache))), recipe.key())
    try:
        is_hit = slot.is_complete() or _build_or_share(recipe, slot, open_log)
    except OSError as error:
        raise BuildFailed(
            f"the environments in {cache} cannot be written or read: {error.strerror} ({error.filename})",
            hint="free some space there, or make it writable",
        ) from error
    return Environment(os.fspath(slot.interpreter), slot.key, is_hit, os.fspath(slot.interpreter.parent))


def _read_recipe(spec: Mapping[str, Any]) -> _Recipe:
    pip, conda = spec["pip_requirements"], spec["conda_dependencies"]
    return _Recipe(
        python=None if conda else interpreter.find(spec["interpreter_path"], os.environ),
        requirements=requirements.read(pip["text"], pip["folder"]) if pip else None,
        conda_text=conda["text"] if conda else None,
        folder=pip["folder"] if pip else None,
    )


def _conda_identity(text: str) -> List[str]:
    """The conda file without comments, blank lines, and where or under which name it would be installed."""
    lines = (line.rstrip() for line in text.splitlines())
    return [line for line in lines if line and not re.match(r"\s*#|name:|prefix:", line)]


def _build_or_share(recipe: _Recipe, slot: Slot, open_log: Callable[[], BinaryIO]) -> bool:
    """True where another builder was waited for and has built it; False where it was built here."""
    with slot.held() as failure:
        if slot.is_complete():
            return True
        if failure is not None:
            raise failure
        leftovers.end(slot.folder)
        slot.wipe()
        try:
            with open_log() as stream:
                _build(recipe, slot, stream)
        except BuildFailed as error:
            slot.wipe()
            slot.leave_failure(error)
            raise
        except BaseException:
            # Stopped, or a full disk: no fault of the recipe's, so whoever waits may try. An interrupt may have come
            # before Python knew of the installer it had just started.
            leftovers.end(slot.folder)
            slot.wipe()
            raise
    return False


def _build(recipe: _Recipe, slot: Slot, stream: BinaryIO) -> None:
    log = BuildLog(stream, installers.build_variables(os.environ, leftovers.mark(slot.folder)))
    started = time.monotonic()
    if recipe.conda_text is not None:
        _build_conda(recipe.conda_text, slot, log)
        uv = None
    else:
        assert recipe.python is not None, "without conda there is a Python to build on"
        uv = interpreters.find_on_path("uv", os.environ)
        log.say(f"Building environment {slot.key} on Python {recipe.python.version} ({recipe.python.base})")
        log.run(installers.venv_command(recipe.python.base, slot.folder, uv), cwd=None)
    if recipe.requirements is not None:
        _install(recipe.requirements, slot, log, uv=uv, folder=recipe.folder)
    made = interpreter.find(os.fspath(slot.interpreter), os.environ)
    slot.complete(
        {
            "python": made.version,
            "base": made.base,
            "created_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "requirements": recipe.requirements.shown if recipe.requirements else None,
        }
    )
    log.say(f"Built environment {slot.key} in {time.monotonic() - started:.1f} s")


def _install(wanted: Requirements, slot: Slot, log: BuildLog, *, uv: Optional[str], folder: Optional[str]) -> None:
    for line in wanted.shown:
        log.say(f"  {line}")
    content = "".join(f"{line}\n" for line in wanted.lines).encode("utf-8", "surrogateescape")
    publish.write_whole(slot.requirements, content)
    log.run(installers.install_command(slot.interpreter, slot.requirements, uv), cwd=folder)
    slot.requirements.unlink()


def _build_conda(text: str, slot: Slot, log: BuildLog) -> None:
    conda = interpreters.find_conda(os.environ)
    if conda is None:
        raise BuildFailed(
            "a conda file needs conda, mamba or micromamba, and none is on the PATH of this node",
            hint="install micromamba, or use pip_requirements, or user_managed_dependencies: true",
        )
    log.say(f"Building environment {slot.key} by {conda}")
    publish.write_whole(slot.conda_file, text.encode("utf-8", "surrogateescape"))
    log.run(installers.conda_command(conda, slot.folder, slot.conda_file), cwd=None)
    slot.conda_file.unlink()
    if not os.access(slot.interpreter, os.X_OK):
        raise BuildFailed("the conda file gives an environment without Python", hint="add python to its dependencies")
