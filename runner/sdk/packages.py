"""From the packages that v1's scripts name to what a job's environment installs.

A job has Azure ML's own names without installing them, and a node has a Python but perhaps no conda.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re

from runner.sdk.conda_dependencies import CondaDependencies
from sidecar.contract.layout import WorkspaceLayout

_logger = logging.getLogger(__name__)

_OF_AZUREML = re.compile(r"^azureml(?:$|[-_.\[=<>~! ])", re.IGNORECASE)
_AZUREML_MLFLOW = re.compile(r"^azureml[-_.]mlflow", re.IGNORECASE)
# What conda calls otherwise than pip; None: comes with another package, or is no package of pip's.
_NAMES_FOR_PIP: dict[str, str | None] = {
    "python": None,
    "pip": None,
    "pytorch": "torch",
    "pytorch-cpu": "torch",
    "pytorch-gpu": "torch",
    "cudatoolkit": None,
    "cpuonly": None,
    "matplotlib-base": "matplotlib",
    "tensorflow-base": "tensorflow",
    "py-xgboost": "xgboost",
    "opencv": "opencv-python-headless",
    "nomkl": None,
    "mkl": None,
}
_CONDA = re.compile(r"^(?:[\w.-]+::)?(?P<name>[A-Za-z0-9][\w.-]*)\s*(?P<version>.*)$")


def without_azureml(lines: list[str]) -> list[str]:
    """pip's lines without Azure ML's packages, which every job has already; says so once."""
    dropped = [line for line in lines if _OF_AZUREML.match(line.strip())]
    kept = [line for line in lines if line not in dropped]
    if any(_AZUREML_MLFLOW.match(line.strip()) for line in dropped) and not _has_mlflow(kept):
        kept.append("mlflow-skinny")
    if dropped:
        _logger.warning("not installed, because every job has their names: %s", ", ".join(dropped))
    return kept


def _has_mlflow(lines: list[str]) -> bool:
    return any(re.match(r"mlflow(?![\w])|mlflow-skinny", line.strip(), re.IGNORECASE) for line in lines)


def needs_conda(dependencies: CondaDependencies) -> bool:
    """Whether something is asked for that conda alone would install."""
    return any(_NAMES_FOR_PIP.get(_name(package), _name(package)) for package in dependencies.conda_packages)


def resolve(
    dependencies: CondaDependencies, *, workspace: WorkspaceLayout, is_here: bool, is_in_docker: bool
) -> tuple[tuple[str, ...] | None, str | None]:
    """(lines for pip, conda file): conda's file where the job runs here and this machine has a conda, else pip's lines.

    Of another machine nobody knows yet whether it has one; of an image v1 takes it for granted.
    """
    from sidecar.contract import interpreters

    is_there = is_in_docker or (is_here and interpreters.find_conda(os.environ) is not None)
    if is_there and (needs_conda(dependencies) or (is_in_docker and dependencies.python_version)):
        return None, _keep(conda_content(dependencies), workspace)
    return pip_lines(dependencies) or None, None


def _keep(content: str, workspace: WorkspaceLayout) -> str:
    """The path of a conda file with this content in the workspace."""
    from runner.store.assets import AssetsLayout
    from sidecar.contract import publish

    path = AssetsLayout.of(workspace).conda_file(hashlib.sha256(content.encode()).hexdigest())
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    publish.write_whole(path, content.encode())
    return str(path)


def pip_lines(dependencies: CondaDependencies) -> tuple[str, ...]:
    """Everything for pip: conda's packages under pip's names, with a notice that says so."""
    wanted = [_as_pip(package) for package in dependencies.conda_packages]
    translated = [line for line in wanted if line]
    if translated:
        _logger.warning(
            "no conda is used: pip installs %s. To have conda do it, name a conda_dependencies_file",
            ", ".join(translated),
        )
    if dependencies.python_version:
        _logger.warning(
            "python=%s is not installed: the job has the Python of its node. interpreter_path chooses another",
            dependencies.python_version,
        )
    options = list(dependencies.pip_options)
    return tuple(options + without_azureml([*translated, *dependencies.pip_packages]))


def conda_content(dependencies: CondaDependencies) -> str:
    """The conda file to build from: without Azure ML's packages."""
    cleaned = CondaDependencies(_underlying_structure=dependencies.as_dict())
    cleaned.set_pip_requirements([*dependencies.pip_options, *without_azureml([*dependencies.pip_packages])])
    return cleaned.serialize_to_string()


def _name(package: str) -> str:
    found = _CONDA.match(package.strip())
    return found["name"].lower() if found else package


def _as_pip(package: str) -> str | None:
    """`numpy=1.2` of conda's is `numpy==1.2.*` of pip's; comparisons read alike, a build string has no counterpart."""
    found = _CONDA.match(package.strip())
    if found is None:
        return package
    name = found["name"].lower()
    name = _NAMES_FOR_PIP.get(name, found["name"]) or ""
    version = found["version"].replace(" ", "")
    if not name or not version:
        return name or None
    if version.startswith("=") and not version.startswith("=="):
        number = version[1:].split("=")[0]
        return f"{name}=={number}" if number.endswith("*") else f"{name}=={number}.*"
    return name + re.sub(r"^(==[^=,]+)=.*$", r"\1", version)
