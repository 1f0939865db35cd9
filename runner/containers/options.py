"""Reads `docker_runtime_config.arguments`: options of `docker run`, as parts of the engine's own description."""

from __future__ import annotations

import argparse
import contextlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from runner.errors import UsageError

_KEY = "docker_runtime_config.arguments"
_RUNNERS_OWN = ("--name", "--user", "-u", "--workdir", "-w", "--restart", "--pid", "--cidfile", "--log-driver")
_UNITS = {"b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a person asked for beside what the runner sets. `host` is the engine's HostConfig, in part."""

    host: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    entrypoint: str | None = None
    hostname: str | None = None


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        known = ", ".join(sorted(option for action in self._actions for option in action.option_strings[-1:]))
        raise UsageError(f"{_KEY}: {message}", hint=f"the options that may be given are {known}")


def read_options(arguments: Sequence[str], environ: dict[str, str] | None = None) -> RunOptions:
    """The options in `arguments`. `environ` gives the values of `-e NAME`. Raises UsageError."""
    words: list[str] = []
    for argument in arguments:
        # "-v /data:/data" as one item is a common way to write it.
        words += shlex.split(argument) if argument.startswith("-") and " " in argument else [argument]
    for word in words:
        if word.split("=")[0] in _RUNNERS_OWN:
            raise UsageError(f"{_KEY}: {word.split('=')[0]} is the runner's to set", hint="leave it out")
    found = _parser().parse_args(words)
    return RunOptions(
        host=_host(found),
        labels=dict(_pair(text, "") for text in found.label),
        variables=_variables(found, environ or {}),
        entrypoint=found.entrypoint,
        hostname=found.hostname,
    )


def size_bytes(text: str) -> int:
    """`512m`, `2g` or a number of bytes. Raises UsageError."""
    digits, unit = (text[:-1], text[-1].lower()) if text[-1:].lower() in _UNITS else (text, "b")
    try:
        return int(float(digits) * _UNITS[unit])
    except ValueError:
        raise UsageError(f"{text!r} is no size such as 512m or 2g") from None


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="docker run", add_help=False, allow_abbrev=False)
    many: dict[str, Any] = {"action": "append", "default": []}
    for names in (
        ("-e", "--env"),
        ("--env-file",),
        ("-v", "--volume"),
        ("--tmpfs",),
        ("--device",),
        ("--cap-add",),
        ("--cap-drop",),
        ("--ulimit",),
        ("--security-opt",),
        ("--add-host",),
        ("--dns",),
        ("-l", "--label"),
        ("--sysctl",),
        ("--group-add",),
        ("-p", "--publish"),
    ):
        parser.add_argument(*names, **many)
    for names in (
        ("--gpus",),
        ("--network", "--net"),
        ("-m", "--memory"),
        ("--memory-swap",),
        ("--cpus",),
        ("--cpuset-cpus",),
        ("--cpu-shares",),
        ("--shm-size",),
        ("--ipc",),
        ("-h", "--hostname"),
        ("--entrypoint",),
        ("--pids-limit",),
        ("--runtime",),
        ("--userns",),
    ):
        parser.add_argument(*names)
    for names in (("--privileged",), ("--read-only",), ("--init",), ("--rm",), ("-i",), ("-t",), ("-d",)):
        parser.add_argument(*names, action="store_true")
    return parser


def _host(found: argparse.Namespace) -> dict[str, Any]:
    host: dict[str, Any] = {
        "Binds": found.volume,
        "Tmpfs": dict(_pair(text, "", separator=":") for text in found.tmpfs),
        "Devices": [_device(text) for text in found.device],
        "CapAdd": found.cap_add,
        "CapDrop": found.cap_drop,
        "Ulimits": [_ulimit(text) for text in found.ulimit],
        "SecurityOpt": found.security_opt,
        "ExtraHosts": found.add_host,
        "Dns": found.dns,
        "Sysctls": dict(_pair(text, "") for text in found.sysctl),
        "GroupAdd": found.group_add,
        "PortBindings": dict(_port(text) for text in found.publish),
        "DeviceRequests": [_gpus(found.gpus)] if found.gpus else [],
        "NetworkMode": found.network,
        "Memory": found.memory and size_bytes(found.memory),
        "MemorySwap": found.memory_swap and (-1 if found.memory_swap == "-1" else size_bytes(found.memory_swap)),
        "NanoCpus": found.cpus and int(_number(found.cpus, "--cpus") * 1e9),
        "CpusetCpus": found.cpuset_cpus,
        "CpuShares": found.cpu_shares and int(_number(found.cpu_shares, "--cpu-shares")),
        "ShmSize": found.shm_size and size_bytes(found.shm_size),
        "IpcMode": found.ipc,
        "PidsLimit": found.pids_limit and int(_number(found.pids_limit, "--pids-limit")),
        "Runtime": found.runtime,
        "UsernsMode": found.userns,
        "Privileged": found.privileged,
        "ReadonlyRootfs": found.read_only,
    }
    return {name: value for name, value in host.items() if value}


def _number(text: str, option: str) -> float:
    with contextlib.suppress(ValueError):
        return float(text)
    raise UsageError(f"{_KEY}: {option} needs a number, not {text!r}")


def _pair(text: str, default: str, *, separator: str = "=") -> tuple[str, str]:
    name, _, value = text.partition(separator)
    return name, value or default


def _device(text: str) -> dict[str, str]:
    outside, _, rest = text.partition(":")
    inside, _, rights = rest.partition(":")
    return {"PathOnHost": outside, "PathInContainer": inside or outside, "CgroupPermissions": rights or "rwm"}


def _ulimit(text: str) -> dict[str, Any]:
    name, limits = _pair(text, "")
    soft, _, hard = limits.partition(":")
    return {"Name": name, "Soft": int(_number(soft, "--ulimit")), "Hard": int(_number(hard or soft, "--ulimit"))}


def _port(text: str) -> tuple[str, list[dict[str, str]]]:
    outside, _, inside = text.rpartition(":")
    ip, _, port = outside.rpartition(":")
    return (inside if "/" in inside else f"{inside}/tcp"), [{"HostIp": ip, "HostPort": port}]


def _gpus(text: str) -> dict[str, Any]:
    wanted: dict[str, Any] = {"Capabilities": [["gpu"]]}
    plain = text.strip("\"'")
    if plain == "all":
        return {**wanted, "Count": -1}
    if plain.startswith("device="):
        return {**wanted, "DeviceIDs": plain.removeprefix("device=").split(",")}
    return {**wanted, "Count": int(_number(plain, "--gpus"))}


def _variables(found: argparse.Namespace, environ: dict[str, str]) -> dict[str, str]:
    variables: dict[str, str] = {}
    for path in found.env_file:
        try:
            with open(path, encoding="utf-8") as stream:
                lines = [line.strip() for line in stream]
        except OSError as error:
            raise UsageError(f"{_KEY}: --env-file {path}: {error.strerror}") from error
        found.env = [line for line in lines if line and not line.startswith("#")] + found.env
    for text in found.env:
        name, separator, value = text.partition("=")
        if separator or name in environ:
            variables[name] = value if separator else environ[name]
    return variables
