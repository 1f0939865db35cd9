"""Registering what a run made as a model, and what else a run is asked for (azureml-v1.md 2.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runner.sdk.environment import Environment
    from runner.sdk.experiment import Experiment
    from runner.sdk.model import Model


class RunModels:
    """Models, the environment and secrets of a run."""

    _experiment: Experiment
    _run_id: str

    def register_model(
        self,
        model_name: str,
        model_path: str | None = None,
        tags: Mapping[str, Any] | None = None,
        properties: Mapping[str, Any] | None = None,
        model_framework: Any = None,
        model_framework_version: str | None = None,
        description: str | None = None,
        datasets: Any = None,
        sample_input_dataset: Any = None,
        sample_output_dataset: Any = None,
        resource_configuration: Any = None,
        **_others: Any,
    ) -> Model:
        """Keeps a file or folder of the run as the next version of a model.

        `model_path` is a name among the run's files, by default the model's name. Raises ModelPathNotFoundException
        naming the files that there are.
        """
        from runner.sdk.model import register_from_run

        return register_from_run(
            self._experiment,
            self._run_id,
            model_name,
            model_path=model_path or model_name,
            about={
                "tags": tags,
                "properties": properties,
                "model_framework": model_framework,
                "model_framework_version": model_framework_version,
                "description": description,
                "datasets": datasets,
            },
        )

    def get_environment(self) -> Environment:
        """The environment that the run was submitted with. Raises UserErrorException for an interactive run."""
        from runner.sdk.exceptions import UserErrorException
        from runner.sdk.runconfig_file import environment_of
        from runner.spec.request import RunRequest

        record = self._experiment.record_of(self._run_id)
        if not record.request:
            raise UserErrorException(f"The run {self._run_id} was not submitted, so it has no environment.")
        environment: Environment = environment_of(RunRequest.from_record(record.request).environment)
        return environment

    def get_secret(self, name: str) -> str:
        """A secret of the workspace. Raises UserErrorException where there is none of that name."""
        return self._experiment.workspace.get_default_keyvault().get_secret(name)

    def get_secrets(self, secrets: Sequence[str]) -> dict[str, str | None]:
        """Several secrets by name; None for those that there are not."""
        return self._experiment.workspace.get_default_keyvault().get_secrets(secrets)
