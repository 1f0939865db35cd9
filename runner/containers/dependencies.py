"""Installs a job's pip or conda packages on top of an image: in a container that is committed when it is done.

What the installation needs to know is mounted and goes when it goes; an image built by instructions would keep it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.containers import labels
from runner.containers.build_access import BuildAccess
from runner.containers.build_log import BuildLog
from runner.containers.engine import is_podman
from runner.containers.recipe import Recipe
from runner.errors import EnvironmentBuildError
from sidecar.contract import interpreters

if TYPE_CHECKING:
    from docker import APIClient

# Where the installation sees what is mounted for it. An empty folder of that name stays in the image.
_INSIDE = "/run/scriptrun"
_ENVIRONMENT = "/opt/scriptrun/environment"
_LOOK_S = 0.05
_STATE_EVERY_S = 0.3
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SCRIPT = """\
exec >>{inside}/log 2>&1
set -e
. {inside}/variables
export PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_PROGRESS_BAR=off \
PYTHONUNBUFFERED=1 HOME=/tmp
fail() {{ echo "ERROR: $1"; exit 1; }}
if [ -e {inside}/conda.yml ]; then
for tool in conda mamba micromamba /opt/conda/bin/conda /opt/miniconda/bin/conda {inside}/micromamba; do
command -v "$tool" >/dev/null && break; tool=; done
[ -n "$tool" ] || fail "the image has no conda, mamba or micromamba, and this machine has no micromamba to lend"
case "$tool" in *micromamba) "$tool" create -y -p {environment} -f {inside}/conda.yml;;
*) "$tool" env create -p {environment} -f {inside}/conda.yml;; esac
exit 0; fi
for python in {pythons}; do command -v "$python" >/dev/null && break; python=; done
[ -n "$python" ] || fail "the image has no Python ({pythons})"
"$python" --version
if ! "$python" -m venv --system-site-packages {environment} >{inside}/venv.log 2>&1; then
rm -rf {environment}; "$python" -m venv --without-pip --system-site-packages {environment}; fi
pip=pip; {environment}/bin/python -m pip --version >/dev/null 2>&1 && set -- -m pip || set -- {inside}/pip
{environment}/bin/python "$@" install --no-cache-dir -r {inside}/requirements.txt
"""


class Installation:
    """One installation on top of one image."""

    def __init__(self, client: APIClient, recipe: Recipe, access: BuildAccess, log: BuildLog) -> None:
        self._client = client
        self._recipe = recipe
        self._access = access
        self._log = log

    def run(
        self,
        base: Mapping[str, Any],
        key: str,
        folder: Path,
        *,
        name: str,
        own_labels: Mapping[str, str],
        is_canceled: Callable[[], bool],
    ) -> str:
        """Installs and commits; returns the image's id. `base` is what the engine says of the image underneath.

        `folder` is for us alone and is removed again. Raises EnvironmentBuildError; then nothing is left.
        """
        folder.mkdir(mode=0o700, parents=True)
        container = None
        try:
            self._write_files(folder)
            self._remove(name)
            container = self._client.create_container_from_config(  # type: ignore[no-untyped-call]  # its stubs
                self._description(base, folder, own_labels), name
            )["Id"]
            self._client.start(container)
            self._wait(container, is_canceled)
            return self._commit(container, base, key)
        finally:
            if container is not None:
                self._remove(container)
            shutil.rmtree(folder, ignore_errors=True)

    def _remove(self, container: str) -> None:
        from docker.errors import NotFound

        try:
            self._client.remove_container(container, force=True, v=True)
        except NotFound:
            pass  # There is nothing of that name, as it should be.

    def _write_files(self, folder: Path) -> None:
        self._access.write(folder, seen_as=_INSIDE)
        pythons = self._recipe.interpreter or "python3 python /opt/conda/bin/python /opt/miniconda/bin/python"
        script = _SCRIPT.format(inside=_INSIDE, environment=_ENVIRONMENT, pythons=pythons)
        (folder / "install").write_text(script, encoding="utf-8")
        (folder / "log").touch()
        if self._recipe.pip is not None:
            (folder / "requirements.txt").write_text(self._recipe.pip, encoding="utf-8")
            for line in self._recipe.pip.splitlines():
                self._log.say(f"  {line}")
        if self._recipe.conda is not None:
            (folder / "conda.yml").write_text(self._recipe.conda, encoding="utf-8")

    def _description(self, base: Mapping[str, Any], folder: Path, own_labels: Mapping[str, str]) -> dict[str, Any]:
        mounts = [_mount(str(folder), _INSIDE, read_only=False), _mount(str(self._log.open()), f"{_INSIDE}/log")]
        mounts += [_mount(path, path) for path in self._access.folders]
        lent = {"pip": _own_pip(), "micromamba": interpreters.find_on_path("micromamba", os.environ)}
        for name, path in lent.items():
            if path is not None:
                (folder / name).mkdir() if os.path.isdir(path) else (folder / name).touch()
                mounts.append(_mount(path, f"{_INSIDE}/{name}"))
        return {
            "Image": base["Id"],
            "Entrypoint": ["/bin/sh", f"{_INSIDE}/install"],
            "Cmd": [],
            "User": "0:0",
            "WorkingDir": "/",
            "Labels": dict(own_labels),
            "HostConfig": {
                "Init": True,
                "Mounts": [
                    {**mount, "ReadOnly": mount["Target"] not in (_INSIDE, f"{_INSIDE}/log")} for mount in mounts
                ],
                "SecurityOpt": ["label=disable"],
                **({"NetworkMode": "host"} if self._access.needs_host_network else {}),
            },
        }

    def _wait(self, container: str, is_canceled: Callable[[], bool]) -> None:
        next_state = 0.0
        while not is_canceled():
            self._log.look()
            if time.monotonic() >= next_state:
                next_state = time.monotonic() + _STATE_EVERY_S
                state = self._client.inspect_container(container)["State"]
                if not state["Running"]:
                    break
            time.sleep(_LOOK_S)  # The condition is the state above; this keeps the core free between two looks.
        else:
            raise EnvironmentBuildError("the build was canceled")
        if state["ExitCode"] != 0:
            words = self._log.last_line()
            raise EnvironmentBuildError(
                f"the packages could not be installed into the image (exit code {state['ExitCode']}): {words}",
                hint=f"see {self._log.path}",
            )

    def _commit(self, container: str, base: Mapping[str, Any], key: str) -> str:
        config = base.get("Config") or {}
        variables = list(config.get("Env") or ())
        path = next((text.partition("=")[2] for text in variables if text.startswith("PATH=")), _DEFAULT_PATH)
        variables = [text for text in variables if not text.startswith("PATH=")]
        # Whatever the engine would take over from the container instead is said here.
        conf = {
            "Env": [f"PATH={_ENVIRONMENT}/bin:{path}", *variables],
            "Entrypoint": config.get("Entrypoint") or [],
            "Cmd": config.get("Cmd") or ["/bin/sh"],
            "User": config.get("User") or "",
            "WorkingDir": config.get("WorkingDir") or "",
            "Labels": {
                **(config.get("Labels") or {}),
                **dict.fromkeys((labels.RUN, labels.NODE, labels.ROLE, labels.WORKSPACE), ""),
                labels.KEY: key,
                labels.ENVIRONMENT: self._recipe.name,
            },
        }
        self._log.say(f"Keeping the image as {labels.image_name(key)}")
        # Podman passes over `conf`, Docker would put values through its substitution of variables in `changes`.
        changes = _instructions(conf) if is_podman(self._client) else None
        made = self._client.commit(container, repository=labels.REPOSITORY, tag=key, conf=conf, changes=changes)
        return str(made["Id"])


def _instructions(conf: Mapping[str, Any]) -> list[str]:
    """`conf` as lines of a Dockerfile. What is unset stays as the image has it, or root's and `/`."""
    lines = [f"ENV {conf['Env'][0]}"]
    lines += [f"{name.upper()} {json.dumps(list(conf[name]))}" for name in ("Entrypoint", "Cmd")]
    lines += [f"USER {conf['User'] or '0:0'}", f"WORKDIR {conf['WorkingDir'] or '/'}"]
    return lines + [f"LABEL {name}={json.dumps(value)}" for name, value in conf["Labels"].items()]


def _mount(source: str, target: str, *, read_only: bool = True) -> dict[str, Any]:
    return {"Type": "bind", "Source": source, "Target": target, "ReadOnly": read_only}


def _own_pip() -> str | None:
    """The folder of this Python's pip, for images that have none: pip is plain Python."""
    found = importlib.util.find_spec("pip")
    return os.path.dirname(found.origin) if found is not None and found.origin else None
