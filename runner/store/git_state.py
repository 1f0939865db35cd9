"""Reads which commit a source folder stands at, as the run properties of Azure ML v1 and MLflow (azureml-v1.md 1.7)."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from sidecar.contract import settings

# `git status` looks at every tracked file. Longer delays every submit from a slow disk; shorter loses the properties.
_TIMEOUT_S = 5.0
_AZUREML = "azureml.git."
_MLFLOW = "mlflow.source.git."
# A submit typed inside a git hook must not ask about the hook's repository.
_FOREIGN = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")


def read(folder: Path, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The properties of the repository that holds `folder`: repository_uri, branch, commit, dirty, where known.

    Variables `AZUREML_GIT_*` go before what git says, and are enough without git. Empty where there is neither.
    Credentials in the remote's URL are left out. Best effort within 5 s: whatever git cannot tell is missing.
    """
    found = _ask_git(folder, environ) if _is_in_repository(folder) else {}
    for name, variable in (
        ("repository_uri", settings.AZUREML_GIT_REPOSITORY_URI),
        ("branch", settings.AZUREML_GIT_BRANCH),
        ("commit", settings.AZUREML_GIT_COMMIT),
        ("dirty", settings.AZUREML_GIT_DIRTY),
        ("build_id", settings.AZUREML_GIT_BUILD_ID),
        ("build_uri", settings.AZUREML_GIT_BUILD_URI),
    ):
        if environ.get(variable):
            found[name] = environ[variable]
    if "repository_uri" in found:
        found["repository_uri"] = without_credentials(found["repository_uri"])
    properties = {_AZUREML + name: value for name, value in found.items()}
    for name, mlflow_name in (("repository_uri", "repoURL"), ("branch", "branch"), ("commit", "commit")):
        if name in found:
            properties[_MLFLOW + mlflow_name] = found[name]
    return properties


def without_credentials(url: str) -> str:
    """`url` without user name, password and query; a bare `git@host` of SSH stays, for it is no secret."""
    found = re.match(r"(?P<scheme>[A-Za-z][\w+.-]*)://(?P<authority>[^/?#]*)(?P<rest>.*)", url, re.DOTALL)
    if found is None:
        return url
    # The last @ ends the credentials: a password may hold one that nobody escaped.
    user, _, host = found["authority"].rpartition("@")
    if found["scheme"].lower().endswith("ssh") and user:
        host = f"{user.partition(':')[0]}@{host}"
    return f"{found['scheme']}://{host}{re.split('[?#]', found['rest'])[0]}"


def _is_in_repository(folder: Path) -> bool:
    """Whether a folder above holds `.git`; spares the start of a process for the many that are in none."""
    place = os.path.realpath(folder)
    while True:
        if os.path.exists(os.path.join(place, ".git")):
            return True
        parent = os.path.dirname(place)
        if parent == place:
            return False
        place = parent


def _ask_git(folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    deadline = time.monotonic() + _TIMEOUT_S
    # Both at once: each is some milliseconds of starting up. The workspace of earlier runs is no change of the user's.
    status = _start(folder, environ, "status", "--porcelain=v2", "--branch", "--", ".", ":(exclude,glob)**/.runner/**")
    remote = _start(folder, environ, "ls-remote", "--get-url")
    found = _parse_status(_finish(status, deadline))
    uri = _finish(remote, deadline).strip()
    # Without any remote git answers with the name it would have looked up.
    if uri and uri != "origin":
        found["repository_uri"] = uri
    return found


def _start(folder: Path, environ: Mapping[str, str], *arguments: str) -> subprocess.Popen[bytes] | None:
    variables = {name: value for name, value in environ.items() if name not in _FOREIGN}
    variables |= {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        return subprocess.Popen(
            ["git", *arguments],
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return None


def _finish(process: subprocess.Popen[bytes] | None, deadline: float) -> str:
    """What git printed; nothing where it failed or took too long."""
    if process is None:
        return ""
    with process:
        try:
            output, _ = process.communicate(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            return ""
    return output.decode("utf-8", "surrogateescape") if process.returncode == 0 else ""


def _parse_status(output: str) -> dict[str, str]:
    """The fields of `git status --porcelain=v2 --branch`: headers start with `#`, any other line is a change."""
    lines = output.splitlines()
    headers = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# ") and " " in line[2:])
    if "branch.oid" not in headers:
        return {}
    branch = headers.get("branch.head", "")
    found = {"branch": "HEAD" if branch == "(detached)" else branch}
    if headers["branch.oid"] != "(initial)":
        found["commit"] = headers["branch.oid"]
    found["dirty"] = str(any(not line.startswith("#") for line in lines))
    return found
