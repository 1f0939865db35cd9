"""The packages of a conda environment on this machine, as its own conda lists them."""

from __future__ import annotations

import os
import subprocess

from runner.sdk.conda_dependencies import CondaDependencies
from runner.sdk.exceptions import UserErrorException

# A large environment is listed in some seconds; longer than this, conda hangs.
_LIMIT_S = 120.0


def exported(name: str) -> CondaDependencies:
    """The dependencies of the environment `name`. Raises UserErrorException where there is no conda, or it has none."""
    import yaml

    from sidecar.contract import interpreters

    conda = interpreters.find_conda(os.environ)
    if conda is None:
        raise UserErrorException(f"There is no conda on the PATH that could tell what is in the environment {name}.")
    done = subprocess.run(
        [conda, "env", "export", "--no-builds", "--name", name], capture_output=True, text=True, timeout=_LIMIT_S
    )
    if done.returncode:
        raise UserErrorException(f"Conda environment {name} cannot be exported: {done.stderr.strip()[-500:]}")
    content = yaml.safe_load(done.stdout)
    content.pop("prefix", None)
    return CondaDependencies(_underlying_structure=content)
