"""Base images for the tests' engine, made of Debian's own packages: no registry is needed, and none is asked."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Sequence
from typing import Protocol

import docker

from tests.lab.rootfs import rootfs

# Python 3.9 and 3.13.
PYTHON_39 = "scriptrun-test/bullseye"
PYTHON_313 = "scriptrun-test/trixie"
NO_PYTHON = "scriptrun-test/no-python"
# Nobody reads these in a container.
_LEFT_OUT = (
    "./var/cache/*",
    "./var/lib/apt/*",
    "./usr/share/doc/*",
    "./usr/share/perl/*",
    "./usr/lib/x86_64-linux-gnu/perl*",
)
_PYTHONS = ("./usr/bin/python3*", "./usr/bin/python*", "./usr/lib/python3*")


class HasClient(Protocol):
    """An engine, here or on a host."""

    def client(self) -> docker.APIClient:
        """A client of its own."""


def import_image(engine: HasClient, name: str) -> None:
    """Puts the image into the engine. Raises LabError where its files cannot be had."""
    release = "bullseye" if name in (PYTHON_39, NO_PYTHON) else "trixie"
    left_out = (*_LEFT_OUT, *(_PYTHONS if name == NO_PYTHON else ()))
    archive = ["tar", "--directory", str(rootfs(release)), *_excluding(left_out), "--create", "."]
    packing = subprocess.Popen(archive, stdout=subprocess.PIPE)
    with packing, contextlib.closing(engine.client()) as client:
        answer = client.post(
            f"{client.base_url}/v{client._version}/images/create",
            params={"fromSrc": "-", "repo": name, "tag": "latest"},
            data=packing.stdout,
            timeout=300,
        )
        answer.raise_for_status()
    assert "error" not in json.dumps(answer.text.splitlines()[-1:]), answer.text


def _excluding(patterns: Sequence[str]) -> list[str]:
    return [f"--exclude={pattern}" for pattern in patterns]
