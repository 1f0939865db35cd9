"""Every key that a config may hold, where, and which key a misspelt one probably means.

Keys are the parameters of Azure ML v1's ScriptRunConfig and RunConfiguration (reference azureml-v1.md 1.1, 1.3),
in snake_case; the camelCase of a `.runconfig` names the same key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TypeAlias

Keys: TypeAlias = Mapping[str, "Keys | None"]  # None: the key has a value; a Keys: it has a mapping with those keys

ANY_KEY: Keys = {"*": None}  # a mapping whose keys the user chooses

MPI: Keys = dict.fromkeys(("process_count_per_node", "node_count"))
PYTORCH: Keys = dict.fromkeys(("communication_backend", "process_count", "process_count_per_node", "node_count"))
TENSORFLOW: Keys = dict.fromkeys(("worker_count", "parameter_server_count"))
DISTRIBUTED: Keys = {"type": None, **MPI, **PYTORCH, **TENSORFLOW}

LOCAL_TARGET: Keys = dict.fromkeys(("type", "name", "node_count"))
SSH_TARGET: Keys = dict.fromkeys(
    ("type", "name", "nodes", "username", "private_key_file", "ssh_port", "host_key_policy", "work_directory")
)
COMPUTE_TARGET: Keys = {**LOCAL_TARGET, **SSH_TARGET}
SSH_NODE: Keys = dict.fromkeys(("address", "name", "ssh_port"))

PYTHON: Keys = dict.fromkeys(
    ("user_managed_dependencies", "interpreter_path", "pip_requirements", "conda_dependencies_file")
)
ENVIRONMENT_DOCKER: Keys = dict.fromkeys(
    ("enabled", "base_image", "base_dockerfile", "build_context", "arguments", "shm_size", "shared_volumes")
)
ENVIRONMENT: Keys = {
    "name": None,
    "python": PYTHON,
    "docker": ENVIRONMENT_DOCKER,
    "environment_variables": ANY_KEY,
}
DOCKER: Keys = dict.fromkeys(("use_docker", "arguments", "shm_size", "shared_volumes"))

MLFLOW: Keys = dict.fromkeys(("tracking_uri", "experiment_name", "files"))

# What a config file is written with, as DESIGN section 4 shows it.
CONFIG: Keys = {
    "experiment_name": None,
    "source_directory": None,
    "script": None,
    "arguments": None,
    "command": None,
    "environment": ENVIRONMENT,
    "compute_target": COMPUTE_TARGET,
    "distributed_job_config": DISTRIBUTED,
    "docker_runtime_config": DOCKER,
    "max_run_duration_seconds": None,
    "tags": ANY_KEY,
    "mlflow": MLFLOW,
}

# What RunConfiguration says in its own way: who runs (framework, communicator) and how many.
RUN_CONFIGURATION: Keys = {
    "framework": None,
    "communicator": None,
    "node_count": None,
    "mpi": MPI,
    "pytorch": PYTORCH,
    "tensorflow": TENSORFLOW,
    "environment_variables": ANY_KEY,
}

# Two names of one key: RunConfiguration's, and ScriptRunConfig's.
SAME_KEY: Mapping[str, str] = {"target": "compute_target", "docker": "docker_runtime_config"}

# Words of other tools, and old names, for keys that no spelling comparison would find.
_MEANT: Mapping[str, str] = {
    "args": "arguments",
    "entry_script": "script",
    "cmd": "command",
    "env": "environment.environment_variables",
    "env_vars": "environment.environment_variables",
    "image": "environment.docker.base_image",
    "requirements": "environment.python.pip_requirements",
    "interpreter": "environment.python.interpreter_path",
    "compute": "compute_target",
    "timeout": "max_run_duration_seconds",
    "name": "experiment_name",
    "hosts": "nodes",
    "user": "username",
    "port": "ssh_port",
    "processes_per_node": "process_count_per_node",
}

_CAMEL_STEP = re.compile(r"(?<=[a-z0-9])[A-Z]")


def to_snake(key: str) -> str:
    """`sourceDirectory` as `source_directory`; a key in snake_case stays."""
    return _CAMEL_STEP.sub(lambda step: "_" + step[0].lower(), key)


def to_camel(key: str) -> str:
    """`source_directory` as `sourceDirectory`."""
    first, *rest = key.split("_")
    return first + "".join(word.capitalize() for word in rest)


def nearest_key(written: str, *, keys: Keys, path: str = "", everywhere: Keys) -> str | None:
    """The key that `written` was probably meant to be, with its path where it belongs elsewhere; None without a guess.

    `path` is where it was written, `keys` what is allowed there. The answer is camelCase if `written` is.
    """
    snake = to_snake(written)
    found = _nearest_snake(snake.lower(), keys, path, everywhere)
    if found is None or snake == written or written.lower() == written:
        return found
    return ".".join(to_camel(part) for part in found.split("."))


def _nearest_snake(written: str, keys: Keys, path: str, everywhere: Keys) -> str | None:
    from difflib import get_close_matches

    if written in keys:  # only upper and lower case differ
        return written
    meant = _MEANT.get(written)
    if meant in keys or (not path and meant in set(_paths(everywhere))):
        return meant
    elsewhere = {}
    for full in _paths(everywhere):
        where, _, leaf = full.rpartition(".")
        if where != path and leaf not in keys:
            elsewhere[leaf] = full
    if written in elsewhere:
        return elsewhere[written]
    near = get_close_matches(written, [key for key in keys if key != "*"], n=1, cutoff=0.7)
    if near:
        return near[0]
    near = get_close_matches(written, list(elsewhere), n=1, cutoff=0.75)
    return elsewhere[near[0]] if near else None


def _paths(keys: Keys, before: str = "") -> Iterator[str]:
    """Every dotted path in `keys`, the deeper ones first so that a shallow one of the same name wins."""
    for key, below in keys.items():
        if below is not None and key != "*":
            yield from _paths(below, f"{before}{key}.")
    for key in keys:
        if key != "*":
            yield before + key
