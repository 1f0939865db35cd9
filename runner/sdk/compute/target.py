"""ComputeTarget: a name in the workspace that runs can be sent to; its compute file says what stands behind it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from runner.errors import ConfigError
from runner.sdk.exceptions import ComputeTargetException
from runner.store import assets
from runner.store.assets import AssetsLayout

if TYPE_CHECKING:
    from runner.sdk.workspace import Workspace
    from runner.spec.compute import ComputeTarget as TargetSpec

COMPUTE = "compute"  # the kind of asset that holds what v1 says of a target and a compute file has no word for


class ComputeTarget:
    """The compute target `name` of a workspace: one that was attached or created, in v1's way or by `runner compute`.

    Raises ComputeTargetException where there is none: scripts catch that and create it.
    """

    _compute_type: str | None = None

    def __new__(cls, workspace: Workspace | None = None, name: str | None = None, *_: Any, **__: Any) -> ComputeTarget:
        """An object of the class that fits what the target is."""
        if cls is ComputeTarget and workspace is not None and name is not None:
            spec, notes = read_spec(workspace, name), read_notes(workspace, name)
            cls = next(kind for kind in ComputeTarget.__subclasses__() if kind._fits(spec, notes))
        return super().__new__(cls)

    def __init__(self, workspace: Workspace, name: str, **_others: Any) -> None:
        self._workspace = workspace
        self._name = name
        self._spec = read_spec(workspace, name)
        self._notes = read_notes(workspace, name)

    @classmethod
    def _fits(cls, spec: TargetSpec, notes: dict[str, Any]) -> bool:
        """Whether this is the class for a target; `notes` are there where a script created it."""
        raise NotImplementedError

    @staticmethod
    def attach(workspace: Workspace, name: str, attach_configuration: Any) -> ComputeTarget:
        """Keeps a machine under a name. Raises ComputeTargetException where the name is taken by something else."""
        return _made(workspace, name, attach_configuration, "attach_configuration")

    @staticmethod
    def create(workspace: Workspace, name: str, provisioning_configuration: Any) -> ComputeTarget:
        """Makes a pool under a name; one that is there already under it is kept as it is."""
        return _made(workspace, name, provisioning_configuration, "provisioning_configuration")

    @staticmethod
    def list(workspace: Workspace) -> Any:
        """Every target of the workspace, `local` left out."""
        return [*targets(workspace).values()]

    @property
    def name(self) -> str:
        """The target's name."""
        return self._name

    @property
    def id(self) -> str:
        """The path of its compute file."""
        return str(self._workspace.layout.compute_file(self._name))

    @property
    def workspace(self) -> Workspace:
        """The workspace that knows it."""
        return self._workspace

    @property
    def type(self) -> str:
        """v1's word for its kind: VirtualMachine or AmlCompute."""
        return self._compute_type or "VirtualMachine"

    @property
    def tags(self) -> dict[str, str]:
        """The tags that it was made with."""
        return dict(self._notes.get("tags") or {})

    @property
    def description(self) -> str | None:
        """The description that it was made with."""
        return self._notes.get("description")

    @property
    def location(self) -> str:
        """Where v1's machines are."""
        return self._workspace.location

    @property
    def provisioning_state(self) -> str:
        """Succeeded: there is nothing to wait for."""
        return "Succeeded"

    @property
    def provisioning_errors(self) -> Any:
        """None: nothing is provisioned."""
        return

    @property
    def is_attached(self) -> bool:
        """Whether it was attached, and not created."""
        return self._compute_type != "AmlCompute"

    @property
    def cluster_resource_id(self) -> str:
        """The path of its compute file."""
        return self.id

    def wait_for_completion(
        self,
        show_output: bool = False,
        min_node_count: int | None = None,
        timeout_in_minutes: float | None = None,
        is_delete_operation: bool = False,
    ) -> None:
        """Returns at once: nothing is provisioned. A machine is looked for when a run needs it."""
        if show_output:
            sys.stdout.write(f"{self.provisioning_state}\n")

    def refresh_state(self) -> None:
        """Reads again what the target is."""
        self.__init__(self._workspace, self._name)  # type: ignore[misc]  # it is its own reader

    def get_status(self) -> Any:
        """The state of the target, in v1's word."""
        return self.provisioning_state

    def serialize(self) -> dict[str, Any]:
        """What there is to know of the target, under v1's keys."""
        return {
            "id": self.id,
            "name": self._name,
            "location": self.location,
            "tags": self.tags,
            "properties": {
                "computeType": self.type,
                "description": self.description,
                "provisioningState": self.provisioning_state,
                "properties": self._spec.to_record(),
            },
        }

    def detach(self) -> None:
        """Forgets the target; its machines and runs stay as they are."""
        from runner.spec.compute_store import detach

        detach(self._name, self._workspace.layout.compute)
        remove_notes(self._workspace, self._name)

    def delete(self) -> None:
        """Forgets a pool that was created. Raises ComputeTargetException for a machine: it is detached."""
        raise ComputeTargetException("Delete is not supported for an attached machine. Try to use detach instead.")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(workspace={self._workspace!r}, name={self._name}, type={self.type})"


def _made(workspace: Workspace, name: str, configuration: Any, what: str) -> ComputeTarget:
    make = getattr(configuration, "make", None)
    if make is None:
        raise ComputeTargetException(
            f"{what} is no configuration that can be used here: {type(configuration).__name__}"
        )
    make(workspace, name)
    return ComputeTarget(workspace, name)


def targets(workspace: Workspace) -> dict[str, ComputeTarget]:
    """Every target of the workspace by name; one whose compute file is broken is left out."""
    from runner.spec.compute import LOCAL
    from runner.spec.compute_file import known_targets

    found = {}
    for name in known_targets(workspace.layout.compute):
        if name != LOCAL:
            try:
                found[name] = ComputeTarget(workspace, name)
            except ComputeTargetException:
                continue  # `runner compute list` tells what is wrong with it
    return found


def read_spec(workspace: Workspace, name: str) -> TargetSpec:
    """What the compute file says. Raises ComputeTargetException where there is none, or it cannot be read."""
    from runner.spec.compute_file import read_named_target

    try:
        return read_named_target(name, workspace.layout.compute)
    except ConfigError as error:
        raise ComputeTargetException(
            f"ComputeTargetNotFound: Compute Target with name {name} not found: {error}"
        ) from error


def read_notes(workspace: Workspace, name: str) -> dict[str, Any]:
    """What v1 says of the target and the compute file has no word for; empty where there is nothing."""
    path = AssetsLayout.of(workspace.layout).note(COMPUTE, name)
    return assets.read_json(path) if path.exists() else {}


def write_notes(workspace: Workspace, name: str, notes: dict[str, Any]) -> None:
    """Keeps what `read_notes` gives."""
    assets.write_json(AssetsLayout.of(workspace.layout).note(COMPUTE, name), notes)


def remove_notes(workspace: Workspace, name: str) -> None:
    """Forgets what `read_notes` gives."""
    AssetsLayout.of(workspace.layout).note(COMPUTE, name).unlink(missing_ok=True)


def keep_file(workspace: Workspace, name: str, text: str) -> None:
    """Attaches the compute file `text` under `name`. Raises ComputeTargetException where it is wrong or taken."""
    import tempfile
    from pathlib import Path

    from runner.errors import UsageError
    from runner.spec.compute_store import attach
    from runner.store.workspace import create

    create(workspace.layout)
    with tempfile.NamedTemporaryFile("w", suffix=".yml", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        try:
            attach(name, Path(file.name), workspace.layout.compute)
        except UsageError as error:
            raise ComputeTargetException(str(error), error) from error
