"""The marked groups of tests that need more than Python, and what tells whether this machine can run them."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

# Says why the machine cannot run the group, or None.
Probe = Callable[[], "str | None"]


def _root() -> str | None:
    return None if os.geteuid() == 0 else "needs root"


def _strace() -> str | None:
    if shutil.which("strace") is None:
        return "strace is not installed (apt install strace)"
    traced = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, timeout=20)
    return None if traced.returncode == 0 else "strace may not trace here (ptrace is forbidden)"


def _mpi() -> str | None:
    if importlib.util.find_spec("mpi4py") is None:
        return f"{sys.executable} has no mpi4py (make test installs it)"
    beside = Path(sys.executable).with_name("mpiexec")
    return None if beside.exists() else f"no mpiexec beside {sys.executable} (make test installs mpich)"


def _mpi_debian() -> str | None:
    return (
        None if Path("/usr/bin/mpiexec.openmpi").exists() else "no /usr/bin/mpiexec.openmpi (apt install openmpi-bin)"
    )


def _conda() -> str | None:
    found = any(shutil.which(name) for name in ("conda", "mamba", "micromamba"))
    return None if found else "none of conda, mamba, micromamba is on PATH"


def _ddp() -> str | None:
    return None if importlib.util.find_spec("torch") else "torch is not installed (pip install 'scriptrun[ddp]')"


def _lab() -> str | None:
    """Whether hosts can be made of namespaces; looked at by making one."""
    if os.geteuid() != 0:
        return "needs root"
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [name for name in ("sshd", "ip", "iptables", "unshare", "nsenter") if not shutil.which(name, path=path)]
    if missing:
        return f"{', '.join(missing)} not installed (apt install openssh-server iproute2 iptables util-linux)"
    made = subprocess.run(["unshare", "--net", "--mount", "--uts", "--pid", "--fork", "true"], capture_output=True)
    return None if made.returncode == 0 else "namespaces may not be made here (needs a real machine's root)"


def _docker() -> str | None:
    """Whether a Docker engine can be started; looked at by starting one."""
    if os.geteuid() != 0:
        return "needs root"
    asked = subprocess.run([sys.executable, "-m", "tests.docker.engine"], capture_output=True, text=True, timeout=300)
    words = asked.stderr.strip().splitlines() or [f"the probe ended with {asked.returncode}"]
    return None if asked.returncode == 0 else words[-1]


def _sshd() -> str | None:
    missing = [name for name in ("ssh-keygen", "ssh-agent") if shutil.which(name) is None]
    if not Path("/usr/sbin/sshd").exists() and shutil.which("sshd") is None:
        missing.append("sshd")
    return f"{', '.join(missing)} not installed (apt install openssh-server)" if missing else None


def _network() -> str | None:
    """Whether pip gets an answer from its package index: a tiny package that nothing else needs."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--timeout", "5", "--retries", "1"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([*command, "--dest", folder, "six"], capture_output=True, timeout=60)
    return None if done.returncode == 0 else "pip reaches no package index"


def _azureml_core() -> str | None:
    """The real package needs an older Python, and is fetched from the package index."""
    if sys.version_info >= (3, 12):
        return "the real azureml-core knows no Python from 3.12 on"
    return _mlflow()


def _notebook() -> str | None:
    missing = [name for name in ("nbclient", "ipykernel") if importlib.util.find_spec(name) is None]
    return f"{' and '.join(missing)} not installed (make test installs them)" if missing else None


def _tensorboard() -> str | None:
    return None if importlib.util.find_spec("tensorboard") else "tensorboard is not installed (make test installs it)"


def _mlflow() -> str | None:
    """Environments with MLflow are made by uv out of the package index."""
    beside = Path(sys.executable).with_name("uv")
    return obstacle("network") if beside.exists() else f"no uv beside {sys.executable} (make test installs it)"


def _loggers() -> str | None:
    from tests.loggers.environments import problem

    return problem()


GROUPS: dict[str, tuple[str, Probe]] = {
    "root": ("needs root: mounts a small disk, changes owners", _root),
    "strace": ("injects faults at a chosen system call", _strace),
    "mpi": ("runs a real MPI from the tests' own environment", _mpi),
    "mpi_debian": ("runs Debian's Open MPI", _mpi_debian),
    "conda": ("builds a conda environment", _conda),
    "ddp": ("runs PyTorch processes", _ddp),
    "lab": ("runs against hosts made of namespaces (tests/lab)", _lab),
    "docker": ("runs jobs in containers of an engine that the tests start", _docker),
    "sshd": ("logs in to a real sshd that the test starts", _sshd),
    "mlflow": ("runs jobs and readers with a real MLflow, the oldest and the newest", _mlflow),
    "loggers": ("runs the MLflow loggers of Keras, Lightning and Hugging Face, and `mlflow server`", _loggers),
    "azureml_core": ("compares with the real azureml-core, in an environment of its own", _azureml_core),
    "notebook": ("runs a notebook in a kernel", _notebook),
    "tensorboard": ("exports runs to a real TensorBoard", _tensorboard),
    "network": ("builds environments from the package index", _network),
}
# Left out of `make test`; each has a command of its own.
LONG = {"chaos": "kills at random for minutes: make chaos", "benchmark": "measures: make bench"}


@functools.cache
def obstacle(group: str) -> str | None:
    """Why this machine cannot run `group`; None where it can. Looked at once."""
    return GROUPS[group][1]()


def required(groups: str) -> set[str]:
    """The groups that must not be skipped: those named, and with the word `possible` all that this machine can run."""
    names = {name.strip() for name in groups.split(",") if name.strip()}
    unknown = names - GROUPS.keys() - {"possible"}
    if unknown:
        raise ValueError(f"no such group of tests: {', '.join(sorted(unknown))} (there are {', '.join(GROUPS)})")
    possible = {name for name in GROUPS if obstacle(name) is None} if "possible" in names else set()
    return (names - {"possible"}) | possible
