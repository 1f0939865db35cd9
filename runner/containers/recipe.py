"""What an image is made of, and the hash of it under which it is found again. The user's code is no part of it."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runner.errors import ConfigError, UsageError
from runner.spec.request import RunRequest
from runner.store.requirements_text import read_for_other_machines

# What a job gets whose config names no image (azureml-v1.md 1.4): Python, conda, Open MPI.
DEFAULT_BASE_IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:20251130.v1"
# Part of every key: raise it when images are made in another way, and every old one is left alone.
_FORMAT = 1
_KEY_DIGITS = 32
# A generated .runconfig says this where nobody chose an interpreter.
_GENERATED_INTERPRETER = "python"
DOCKERFILE = "Dockerfile"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The stages of an image. Exactly one of `base_image`, `dockerfile` (a text) and `context` (a folder) is given.

    `pip` and `conda` are the texts of the files; `interpreter` is the Python, in the image, that `pip` is for.
    """

    name: str
    base_image: str | None = None
    dockerfile: str | None = None
    context: str | None = None
    pip: str | None = None
    conda: str | None = None
    interpreter: str | None = None

    def to_record(self) -> dict[str, Any]:
        """As it stands in a run's record."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Recipe:
        """The inverse of `to_record`."""
        return cls(**record)

    @property
    def has_dependencies(self) -> bool:
        """Whether something is installed on top of the base."""
        return bool(self.pip or self.conda)

    @property
    def is_built(self) -> bool:
        """Whether it is more than a base image."""
        return self.base_image is None or self.has_dependencies

    def dockerfile_key(self, platform: str, context: str | None) -> str:
        """The key of what the Dockerfile builds; `context` is the hash of the files beside it."""
        assert self.dockerfile is not None or context is not None, "there is something to build"
        return _key({"dockerfile": self.dockerfile, "context": context, "platform": platform})

    def dependencies_key(self, base_id: str, platform: str) -> str:
        """The key of the dependencies on top of the image with the id `base_id`."""
        return _key(
            {
                "base": base_id,
                "pip": _lines(self.pip),
                "conda": _lines(self.conda, passed_over=r"name:|prefix:"),
                "interpreter": self.interpreter,
                "platform": platform,
            }
        )


def read_recipe(request: RunRequest) -> Recipe:
    """The recipe with the contents of its files, so that a later change of a file changes no run. Raises UsageError."""
    environment, image = request.environment, request.environment.docker
    is_managed = environment.user_managed_dependencies
    if image.build_context and not Path(image.build_context, DOCKERFILE).is_file():
        raise UsageError(f"environment.docker.build_context: there is no {DOCKERFILE} in {image.build_context}")
    has_file = image.base_dockerfile or image.build_context
    return Recipe(
        name=environment.name,
        base_image=None if has_file else image.base_image or DEFAULT_BASE_IMAGE,
        dockerfile=_dockerfile(image.base_dockerfile) if image.base_dockerfile else None,
        context=image.build_context,
        pip=None if is_managed else _pip(environment.pip_requirements),
        conda=None if is_managed else _conda(environment.conda_dependencies_file),
        interpreter=interpreter_of(request),
    )


def interpreter_of(request: RunRequest) -> str | None:
    """The Python in the image that the config names; None for the image's own."""
    path = request.environment.interpreter_path
    return None if path == _GENERATED_INTERPRETER else path


def context_hash(folder: str, patterns: list[str]) -> str:
    """The hash of every file that a build of `folder` would see; `patterns` are those of its .dockerignore."""
    from docker.utils.build import exclude_paths

    digest = hashlib.sha256()
    for path in sorted(exclude_paths(folder, patterns, dockerfile=DOCKERFILE)):
        place = os.path.join(folder, path)
        if os.path.islink(place):
            digest.update(f"link {path} {os.readlink(place)}\0".encode("utf-8", "surrogateescape"))
        elif os.path.isfile(place):
            with open(place, "rb") as stream:
                content = hashlib.sha256(stream.read()).hexdigest()
            mode = "x" if os.access(place, os.X_OK) else "-"
            digest.update(f"file {path} {mode} {content}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def ignore_patterns(folder: str) -> list[str]:
    """The patterns of the folder's .dockerignore."""
    try:
        lines = Path(folder, ".dockerignore").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _key(parts: Mapping[str, Any]) -> str:
    text = json.dumps({"format": _FORMAT, **parts}, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:_KEY_DIGITS]


def _lines(text: str | None, *, passed_over: str = r"$") -> list[str] | None:
    """The lines that count: no comments, no blank ones."""
    if text is None:
        return None
    lines = (line.rstrip() for line in text.splitlines())
    return [line for line in lines if line and not re.match(rf"\s*#|{passed_over}", line)]


def _dockerfile(written: str) -> str:
    return written if "\n" in written else _read(written, "docker.base_dockerfile")


def _pip(requirements: str | tuple[str, ...] | None) -> str | None:
    if isinstance(requirements, str):
        return read_for_other_machines(Path(requirements))
    return "\n".join(requirements) + "\n" if requirements else None


def _conda(path: str | None) -> str | None:
    return _read(path, "python.conda_dependencies_file") if path else None


def _read(path: str, key: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"environment.{key} cannot be read: {error}", source=path) from error
