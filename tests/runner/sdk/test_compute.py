"""Compute targets in v1's way, over compute files."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.sdk import AmlCompute, ComputeTarget, RemoteCompute, Workspace
from runner.sdk.compute.remote import secrets_for
from runner.sdk.exceptions import ComputeTargetException


def test_a_machine_is_attached_found_and_detached(workspace: Workspace, tmp_path: Path) -> None:
    """It becomes a compute file that `runner compute` knows too."""
    key = tmp_path / "key"
    key.touch()
    configuration = RemoteCompute.attach_configuration(
        username="me", address="10.0.0.5:2222", private_key_file=str(key)
    )
    target = ComputeTarget.attach(workspace, "gpu01", configuration)
    target.wait_for_completion(show_output=True)
    assert isinstance(target, RemoteCompute) and isinstance(target, ComputeTarget)
    assert (target.address, target.ssh_port, target.username, target.type) == ("10.0.0.5", 2222, "me", "VirtualMachine")
    assert workspace.layout.compute_file("gpu01").is_file()
    assert [*workspace.compute_targets] == ["gpu01"]
    with pytest.raises(ComputeTargetException, match="Try to use detach"):
        target.delete()
    target.detach()
    assert not workspace.compute_targets


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"username": "me"}, "Error, missing address/resource_id."),
        ({"username": "me", "resource_id": "/x"}, "Error, missing address: /x names a machine inside Azure"),
        ({"username": "me", "address": "a", "resource_id": "/x"}, "only provide either address or resource_id"),
        ({"username": "me", "address": "a", "ssh_port": 0}, "missing ssh-port"),
        ({"address": "a"}, "no username provided"),
        ({"username": "me", "address": "a", "password": "p", "private_key_file": "k"}, "both password and key"),
    ],
)
def test_what_an_attach_configuration_lacks_is_said(given: dict[str, object], message: str) -> None:
    """In v1's words."""
    with pytest.raises(ComputeTargetException) as caught:
        RemoteCompute.attach_configuration(**given)  # type: ignore[arg-type]  # as scripts do
    assert message in caught.value.message


def test_a_password_is_kept_in_memory_only(workspace: Workspace) -> None:
    """The submit of this process has it, the disk has not, and no representation shows it."""
    configuration = RemoteCompute.attach_configuration(username="me", address="10.0.0.5", password="hunter2")
    ComputeTarget.attach(workspace, "vm", configuration)
    assert "hunter2" not in repr(configuration)
    written = [path.read_text() for path in workspace.layout.root.rglob("*") if path.is_file()]
    assert written and not any("hunter2" in text for text in written)
    secrets = secrets_for(str(workspace.layout.root.absolute()), "vm")
    assert secrets is not None and secrets.password is not None and secrets.password.reveal() == "hunter2"


def test_the_idiom_of_every_notebook(workspace: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    """`try: ComputeTarget(...) except ComputeTargetException: create` makes a pool, with a clear notice."""
    try:
        ComputeTarget(workspace=workspace, name="cpu-cluster")
        raise AssertionError("there is none yet")
    except ComputeTargetException:
        configuration = AmlCompute.provisioning_configuration(vm_size="STANDARD_D2_V2", max_nodes=4)
        cluster = ComputeTarget.create(workspace, "cpu-cluster", configuration)
    cluster.wait_for_completion(show_output=True, min_node_count=None, timeout_in_minutes=20)
    assert "there is no cloud behind it" in caplog.text
    found = ComputeTarget(workspace=workspace, name="cpu-cluster")
    assert isinstance(found, AmlCompute) and found.type == "AmlCompute"
    assert found.get_status().serialize()["scaleSettings"]["maxNodeCount"] == 4
    assert (found.vm_size, found.list_nodes()) == ("STANDARD_D2_V2", [])
    found.update(max_nodes=2)
    assert AmlCompute(workspace, "cpu-cluster").scale_settings.maximum_node_count == 2
    found.delete()
    assert not workspace.compute_targets


def test_machines_attached_under_a_clusters_name_are_used(workspace: Workspace) -> None:
    """A script that creates its cluster finds the user's own machines in its place."""
    configuration = RemoteCompute.attach_configuration(username="me", address="10.0.0.5")
    ComputeTarget.attach(workspace, "gpu-cluster", configuration)
    cluster = ComputeTarget.create(workspace, "gpu-cluster", AmlCompute.provisioning_configuration("NC6"))
    assert isinstance(cluster, AmlCompute)
    assert [node["publicIpAddress"] for node in cluster.list_nodes()] == ["10.0.0.5"]
    assert "ssh" in workspace.layout.compute_file("gpu-cluster").read_text()


def test_a_name_that_is_taken_is_refused(workspace: Workspace) -> None:
    """Another machine does not silently take the place of the first."""
    for address, is_refused in (("10.0.0.5", False), ("10.0.0.6", True)):
        configuration = RemoteCompute.attach_configuration(username="me", address=address)
        if is_refused:
            with pytest.raises(ComputeTargetException, match="attached already"):
                ComputeTarget.attach(workspace, "vm", configuration)
        else:
            ComputeTarget.attach(workspace, "vm", configuration)
