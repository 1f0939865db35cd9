"""The two builders of Dockerfiles, and how a person chooses between them."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.docker.stage import DockerStage


def _drives_buildkit(docker: str) -> bool:
    """Before version 23 the docker command brings what it needs for that itself."""
    told = subprocess.run([docker, "--version"], capture_output=True, text=True).stdout
    old = int(told.partition("version ")[2].partition(".")[0] or 99) < 23
    return old or subprocess.run([docker, "buildx", "version"], capture_output=True).returncode == 0


_BUILDKIT = [
    path for path in ("/usr/bin/docker", "/usr/local/bin/docker") if Path(path).exists() and _drives_buildkit(path)
]
BUILDERS = ["engine", *(["buildkit"] if _BUILDKIT else [])]


def choose(stage: DockerStage, builder: str) -> None:
    """As a person would: by DOCKER_BUILDKIT, with a docker command that can do it."""
    stage.environ["DOCKER_BUILDKIT"] = "0" if builder == "engine" else "1"
    if builder == "buildkit":
        stage.environ["PATH"] = f"{Path(_BUILDKIT[0]).parent}:{stage.environ['PATH']}"
