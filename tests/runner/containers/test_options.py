"""Options of `docker run`, as the engine's own API names them."""

from __future__ import annotations

import pytest

from runner.containers.options import read_options, size_bytes
from runner.errors import UsageError


@pytest.mark.parametrize(
    ("arguments", "host"),
    [
        (["--gpus", "all"], {"DeviceRequests": [{"Count": -1, "Capabilities": [["gpu"]]}]}),
        (["--gpus", "2"], {"DeviceRequests": [{"Count": 2, "Capabilities": [["gpu"]]}]}),
        (["--gpus", '"device=0,3"'], {"DeviceRequests": [{"DeviceIDs": ["0", "3"], "Capabilities": [["gpu"]]}]}),
        (["--memory=1.5g", "--memory-swap", "-1"], {"Memory": 3 * 2**29, "MemorySwap": -1}),
        (["--cpus", "1.5"], {"NanoCpus": 1_500_000_000}),
        (["-v /data:/data:ro"], {"Binds": ["/data:/data:ro"]}),
        (["--ulimit", "nofile=1024:2048"], {"Ulimits": [{"Name": "nofile", "Soft": 1024, "Hard": 2048}]}),
        (["-p", "127.0.0.1:8080:80"], {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]}}),
        (
            ["--device", "/dev/fuse"],
            {"Devices": [{"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/fuse", "CgroupPermissions": "rwm"}]},
        ),
    ],
)
def test_options_become_parts_of_the_description(arguments: list[str], host: dict[str, object]) -> None:
    """As `docker run` would send them."""
    assert read_options(arguments).host == host


def test_variables_are_kept_apart() -> None:
    """The runner hands them to the job; the engine is told of none."""
    found = read_options(["-e", "A=1", "--env", "B", "-e", "C"], {"B": "2"})
    assert (found.variables, found.host) == ({"A": "1", "B": "2"}, {})


@pytest.mark.parametrize("arguments", [["--user", "0"], ["--name=x"], ["--nonsense"], ["--cpus", "many"], ["-m", "1q"]])
def test_what_cannot_be_is_refused(arguments: list[str]) -> None:
    """At submit, with the option's name or the list of those that may be given."""
    with pytest.raises(UsageError):
        read_options(arguments)


def test_sizes() -> None:
    """With a unit, or in bytes."""
    assert [size_bytes(text) for text in ("96m", "2G", "1.5k", "7")] == [96 * 2**20, 2 * 2**30, 1536, 7]
