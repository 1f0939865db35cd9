"""What the engine is told of a node's two containers."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from runner.containers.description import Dwelling, Image, has_user, job_container, sidecar_container
from runner.containers.engine import EngineFacts, refuse_gpus_unheard
from runner.containers.options import read_options
from runner.errors import MachineError
from sidecar.contract.layout import NodeLayout
from sidecar.contract.orders import NodePlan

_PLAN = NodePlan(
    run_id="digits_1763678112_1a2b3c4d",
    experiment_name="digits",
    node_id="local-0",
    node_rank=0,
    node_count=2,
    run_root="/w/runs/r",
    bundle="/w/bundles/b",
    address="127.0.0.1",
    snapshot_store="/w/snapshots",
    snapshot_id="s",
    environment={},
    environment_cache="/w/environments",
    environment_variables={"TOKEN": "canary"},
    stop_grace_s=30.0,
    max_run_duration_s=None,
    port_count=0,
    wants_mpi=False,
    is_contained=True,
)
_NODE = NodeLayout.at("/w/nodes/local-0/r")
_FACTS = EngineFacts(
    maker="Docker", version="28.0", platform="linux/amd64", is_rootless=False, remaps_users=False, has_gpus=False
)
_DWELLING = Dwelling(
    workspace="/w",
    image=Image(id="sha256:0", name="python:3.12"),
    user="1000:1000",
    groups=("44",),
    facts=_FACTS,
    options=read_options([]),
    shm_size="2g",
    network="digits_1763678112_1a2b3c4d",
)


def test_two_containers_of_a_node() -> None:
    """The job's has the network, the shared memory and a host name; the sidecar's needs none of these."""
    job, sidecar = job_container(_PLAN, _NODE, _DWELLING), sidecar_container(_PLAN, _NODE, _DWELLING)
    assert (job["User"], job["Hostname"], job["HostConfig"]["ShmSize"]) == ("1000:1000", "local-0", 2 * 2**30)
    assert job["HostConfig"]["NetworkMode"] == _PLAN.run_id
    assert sidecar["HostConfig"]["NetworkMode"] == "none"
    for described in (job, sidecar):
        assert described["Labels"]["io.scriptrun.run"] == _PLAN.run_id
        read_only = {mount["Target"] for mount in described["HostConfig"]["Mounts"] if mount["ReadOnly"]}
        assert read_only == {"/w/snapshots", "/w/bundles/b"}
        assert "canary" not in json.dumps(described)


@pytest.mark.parametrize(
    ("has_gpus", "arguments", "requests"),
    [
        (False, [], None),
        (True, [], [{"Count": -1, "Capabilities": [["gpu"]]}]),
        (True, ["--gpus", "1"], [{"Count": 1, "Capabilities": [["gpu"]]}]),
        (False, ["--gpus", "1"], [{"Count": 1, "Capabilities": [["gpu"]]}]),
    ],
)
def test_gpus_are_asked_for(has_gpus: bool, arguments: list[str], requests: object) -> None:
    """All where there are some, or those that the config names; by the job's container alone."""
    dwelling = replace(_DWELLING, facts=replace(_FACTS, has_gpus=has_gpus), options=read_options(arguments))
    assert job_container(_PLAN, _NODE, dwelling)["HostConfig"].get("DeviceRequests") == requests
    assert "DeviceRequests" not in sidecar_container(_PLAN, _NODE, dwelling)["HostConfig"]


def test_an_engine_that_would_forget_the_gpus_is_refused() -> None:
    """A job must not run without what was asked for, and nobody knows."""
    with pytest.raises(MachineError, match=r"Podman 4\.3\.1 passes over requests for GPUs"):
        refuse_gpus_unheard(replace(_FACTS, maker="Podman", version="4.3.1"))
    refuse_gpus_unheard(replace(_FACTS, maker="Docker", version="4.3.1"))


@pytest.mark.parametrize(("arguments", "entrypoint"), [([], None), (["--entrypoint", "/tini"], ["/tini"])])
def test_entrypoint_runs_the_command(arguments: list[str], entrypoint: object) -> None:
    """The image's own, or the one that the config names, is given the whole command."""
    described = job_container(_PLAN, _NODE, replace(_DWELLING, options=read_options(arguments)))
    assert (described["Entrypoint"], described["Cmd"][:2]) == (entrypoint, ["/bin/sh", "-c"])


def test_dropped_entrypoint_is_replaced_by_the_shell() -> None:
    """An empty one would be the image's own for some engines; the sidecar's container never has the image's."""
    dropped = replace(_DWELLING, options=read_options(["--entrypoint", ""]))
    for described in (job_container(_PLAN, _NODE, dropped), sidecar_container(_PLAN, _NODE, _DWELLING)):
        assert (described["Entrypoint"], described["Cmd"][0]) == (["/bin/sh"], "-c")


def test_users_that_an_image_knows() -> None:
    """By number, in the form of /etc/passwd."""
    passwd = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/app:/bin/sh\n"
    assert (has_user(passwd, "1000"), has_user(passwd, "100")) == (True, False)


def test_the_jobs_data_are_in_its_container() -> None:
    """As they are on this machine, or where a person mounts them; what was sent to a node is written by its sidecar."""
    here = _PLAN._replace(
        data={"inputs": [], "outputs": {}, "shared": [["/data", True], ["/out", False], ["/own", True]]}
    )
    dwelling = replace(_DWELLING, options=read_options(["-v", "/mnt:/own"]))
    mounts = job_container(here, _NODE, dwelling)["HostConfig"]["Mounts"]
    found = {mount["Target"]: mount["ReadOnly"] for mount in mounts}
    assert found["/data"] and not found["/out"] and "/own" not in found
    there = _PLAN._replace(data={"inputs": [{"name": "digits"}], "outputs": {}})
    for described, is_read_only in (
        (job_container(there, _NODE, _DWELLING), True),
        (sidecar_container(there, _NODE, _DWELLING), False),
    ):
        store = [mount for mount in described["HostConfig"]["Mounts"] if mount["Target"] == "/w/inputs"]
        assert [mount["ReadOnly"] for mount in store] == [is_read_only]
