"""Says which commands make an environment, by uv, venv and pip, or conda, and which variables they are given."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Dict, List, Mapping, Optional

# Would send packages elsewhere than into the environment, or let another Python's packages in.
_UNWANTED = (
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_ROOT",
    "PIP_REQUIRE_VIRTUALENV",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONUSERBASE",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "UV_PROJECT_ENVIRONMENT",
    "UV_SYSTEM_PYTHON",
    "UV_TARGET",
    "__PYVENV_LAUNCHER__",
)
# uv reads none of pip's variables (pip's configuration files neither, and those we leave). What stands behind the
# first of the names that is set wins.
_PIP_TO_UV = (
    ("PIP_INDEX_URL", ("UV_DEFAULT_INDEX", "UV_INDEX_URL"), " "),
    ("PIP_EXTRA_INDEX_URL", ("UV_INDEX", "UV_EXTRA_INDEX_URL"), " "),
    ("PIP_FIND_LINKS", ("UV_FIND_LINKS",), ","),
    ("PIP_TRUSTED_HOST", ("UV_INSECURE_HOST",), " "),
    ("PIP_NO_INDEX", ("UV_NO_INDEX",), " "),
    ("PIP_DEFAULT_TIMEOUT", ("UV_HTTP_TIMEOUT",), " "),
    ("PIP_CERT", ("SSL_CERT_FILE",), " "),
)


def venv_command(base: str, folder: Path, uv: Optional[str]) -> List[str]:
    """Makes an empty virtual environment on the Python `base`."""
    if uv is not None:
        return [uv, "venv", "--python", base, os.fspath(folder)]
    return [base, "-m", "venv", os.fspath(folder)]


def install_command(interpreter: Path, requirements: Path, uv: Optional[str]) -> List[str]:
    """Installs a requirements file for `interpreter`."""
    if uv is not None:
        return [uv, "pip", "install", "--python", os.fspath(interpreter), "-r", os.fspath(requirements)]
    return [os.fspath(interpreter), "-m", "pip", "install", "--no-input", "-r", os.fspath(requirements)]


def conda_command(conda: str, folder: Path, conda_file: Path) -> List[str]:
    """Makes an environment from a conda file; micromamba knows one way to, the others another."""
    target = ["-p", os.fspath(folder), "-f", os.fspath(conda_file)]
    if os.path.basename(conda) == "micromamba":
        return [conda, "create", "-y", *target]
    return [conda, "env", "create", *target]


def build_variables(environ: Mapping[str, str], mark: Mapping[str, str]) -> Dict[str, str]:
    """The user's variables, indexes, proxies and certificates among them, without those that lead astray."""
    variables = {name: value for name, value in environ.items() if name not in _UNWANTED}
    # Live output, no questions, nothing about pip's own age, and into the environment whatever pip.conf says.
    variables.update(
        {
            "PYTHONUNBUFFERED": "1",
            "PIP_NO_INPUT": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_USER": "0",
            "CONDA_ALWAYS_YES": "true",
            "MAMBA_ALWAYS_YES": "true",
            **mark,
        }
    )
    variables.setdefault("PIP_PROGRESS_BAR", "off")
    variables.setdefault("UV_NO_PROGRESS", "1")
    variables.update(_for_uv(environ))
    return variables


def _for_uv(environ: Mapping[str, str]) -> Dict[str, str]:
    found = {}
    for pip_name, uv_names, separator in _PIP_TO_UV:
        value = environ.get(pip_name)
        if value and not any(name in environ for name in uv_names):
            found[uv_names[0]] = separator.join(value.split())
    if "UV_INDEX" in found and "UV_INDEX_STRATEGY" not in environ:
        # pip takes the best version from all indexes; uv by itself would stop at the first that knows the name.
        found["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return found
