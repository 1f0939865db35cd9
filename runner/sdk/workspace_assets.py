"""What a workspace holds beside its runs: compute targets, environments, models, data (azureml-v1.md 1.9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from sidecar.contract.layout import WorkspaceLayout

if TYPE_CHECKING:
    from runner.sdk.compute import ComputeTarget
    from runner.sdk.data.datastore import Datastore
    from runner.sdk.environment import Environment
    from runner.sdk.image_build import ImageBuildDetails
    from runner.sdk.keyvault import Keyvault
    from runner.sdk.model import Model
    from runner.sdk.workspace import Workspace


class WorkspaceAssets:
    """The assets of a workspace, by name."""

    _layout: WorkspaceLayout

    @property
    def _self(self) -> Workspace:
        return cast("Workspace", self)

    @property
    def compute_targets(self) -> Mapping[str, ComputeTarget]:
        """Every compute target but `local`, by name."""
        from runner.sdk.compute.target import targets

        return targets(self._self)

    @property
    def environments(self) -> Mapping[str, Environment]:
        """The newest version of every registered environment, by name."""
        from runner.sdk.environment import Environment

        return Environment.list(self._self)

    def build_environment(self, environment: Environment) -> ImageBuildDetails:
        """Has an environment built by a run that does nothing else."""
        from runner.sdk.image_build import build

        return build(environment, self._self)

    @property
    def models(self) -> Mapping[str, Model]:
        """The newest version of every registered model, by name."""
        from runner.sdk.model import Model

        return {model.name: model for model in Model.list(self._self, latest=True)}

    @property
    def datastores(self) -> Mapping[str, Datastore]:
        """Every datastore, by name."""
        from runner.sdk.data.datastore import Datastore

        return Datastore.list(self._self)

    @property
    def datasets(self) -> Mapping[str, Any]:
        """The newest version of every registered data set, by name."""
        from runner.sdk.data.dataset import Dataset

        return Dataset.get_all(self._self)

    def get_default_datastore(self) -> Datastore:
        """The datastore that data go to when none is named: a folder of the workspace."""
        from runner.sdk.data.datastore import Datastore

        return Datastore.get_default(self._self)

    def set_default_datastore(self, name: str) -> None:
        """Makes another datastore the default. Raises UserErrorException where there is none of that name."""
        from runner.sdk.data.datastore import Datastore

        Datastore.get(self._self, name).set_as_default()

    def get_default_compute_target(self, type: str = "CPU") -> ComputeTarget | None:
        """None: v1 has none either unless somebody made one for the workspace."""
        return None

    def get_default_keyvault(self) -> Keyvault:
        """The secrets that this process knows."""
        from runner.sdk.keyvault import Keyvault

        return Keyvault()

    def get_mlflow_tracking_uri(self, with_auth: bool = False) -> str:
        """What MLflow is to be told so that it logs to this workspace."""
        return f"scriptrun://{self._layout.root.absolute()}"
