"""RemoteCompute: a machine that is reached over SSH."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runner.sdk.compute.target import ComputeTarget, keep_file
from runner.sdk.exceptions import ComputeTargetException

if TYPE_CHECKING:
    from runner.sdk.workspace import Workspace
    from runner.transports.ssh.authentication import Secrets

_SSH_PORT = 22
# Secrets that this process was given, by workspace and target: they are written nowhere.
_secrets: dict[tuple[str, str], tuple[str, str]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteComputeAttachConfiguration:
    """How the machine is reached; the password and the passphrase are kept in this process's memory only."""

    username: str
    address: str
    ssh_port: int
    private_key_file: str
    password: str = field(repr=False)
    private_key_passphrase: str = field(repr=False)

    def make(self, workspace: Workspace, name: str) -> None:
        """Keeps the machine as the target `name`."""
        import os

        import yaml

        node = {"address": self.address} if _can_be_a_name(self.address) else {"address": self.address, "name": name}
        content: dict[str, Any] = {"type": "ssh", "username": self.username, "nodes": [node]}
        if self.ssh_port != _SSH_PORT:
            content["ssh_port"] = self.ssh_port
        if self.private_key_file:
            content["private_key_file"] = os.path.abspath(os.path.expanduser(self.private_key_file))
        keep_file(workspace, name, yaml.safe_dump(content, sort_keys=False))
        if self.password or self.private_key_passphrase:
            key = (str(workspace.layout.root.absolute()), name)
            _secrets[key] = (self.password, self.private_key_passphrase)


class RemoteCompute(ComputeTarget):
    """A machine, or several, reached over SSH; nothing needs to be installed there but Python and sshd."""

    _compute_type = "VirtualMachine"

    @classmethod
    def _fits(cls, spec: Any, notes: dict[str, Any]) -> bool:
        from runner.spec.compute import SshTarget

        return isinstance(spec, SshTarget) and not notes

    @staticmethod
    def attach_configuration(
        username: str | None = None,
        subscription_id: str | None = None,
        resource_group: str | None = None,
        vm_name: str | None = None,
        resource_id: str | None = None,
        address: str | None = None,
        ssh_port: int = _SSH_PORT,
        password: str = "",
        private_key_file: str = "",
        private_key_passphrase: str = "",
    ) -> RemoteComputeAttachConfiguration:
        """How a machine is reached: by its address, and a key, the SSH agent, or a password.

        A machine of Azure's known only by its resource id has no address to go to. Raises ComputeTargetException.
        """
        if not address:
            if resource_id or vm_name:
                raise ComputeTargetException(
                    f"Error, missing address: {resource_id or vm_name} names a machine inside Azure, which cannot be "
                    "looked up here. Give address='host or IP'."
                )
            raise ComputeTargetException("Error, missing address/resource_id.")
        if resource_id:
            raise ComputeTargetException("Error, please only provide either address or resource_id.")
        if not ssh_port:
            raise ComputeTargetException("Error, missing ssh-port.")
        if not username:
            raise ComputeTargetException("Error, no username provided.")
        if password and private_key_file:
            raise ComputeTargetException("Error, both password and key information provided.")
        host, colon, port = address.rpartition(":")
        if colon and port.isdigit() and ":" not in host:
            address, ssh_port = host, int(port)
        return RemoteComputeAttachConfiguration(
            username=username,
            address=address,
            ssh_port=ssh_port,
            private_key_file=private_key_file or "",
            password=password or "",
            private_key_passphrase=private_key_passphrase or "",
        )

    @staticmethod
    def attach(workspace: Workspace, name: str, *arguments: Any, **keywords: Any) -> ComputeTarget:
        """`ComputeTarget.attach`; v1's oldest scripts give the parts of the configuration here."""
        first = arguments[0] if arguments else keywords.pop("attach_configuration", None)
        if isinstance(first, RemoteComputeAttachConfiguration):
            return ComputeTarget.attach(workspace, name, first)
        names = ("username", "address", "ssh_port", "password", "private_key_file", "private_key_passphrase")
        given = {**dict(zip(names, arguments)), **keywords}
        return ComputeTarget.attach(workspace, name, RemoteCompute.attach_configuration(**given))

    @property
    def address(self) -> str:
        """The address of the (first) machine."""
        return str(self._spec.to_record()["nodes"][0]["address"])

    @property
    def ssh_port(self) -> int:
        """The port of its sshd."""
        return int(self._spec.to_record().get("ssh_port") or _SSH_PORT)

    @property
    def username(self) -> str | None:
        """Who logs in there."""
        return self._spec.to_record().get("username")


def secrets_for(workspace_root: str, name: str) -> Secrets | None:
    """What this process was given to log in to the target `name`, if anything."""
    given = _secrets.get((workspace_root, name))
    if given is None:
        return None
    from runner.transports.ssh.authentication import Secrets
    from runner.transports.ssh.secret import Secret

    password, passphrase = (Secret(text) if text else None for text in given)
    return Secrets(password=password, passphrase=passphrase)


def _can_be_a_name(address: str) -> bool:
    from sidecar.contract.layout import is_node_id

    return is_node_id(address)
