"""Environment.build: a run that only builds, so that the environment is in the cache for the next one."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runner.sdk.environment import Environment
    from runner.sdk.run import Run
    from runner.sdk.workspace import Workspace

_EXPERIMENT = "prepare_image"
_DONE = {"Completed": "Succeeded", "Failed": "Failed", "Canceled": "Failed"}


class ImageBuildDetails:
    """The build of an environment that goes on in the background."""

    def __init__(self, run: Run) -> None:
        self._run = run

    @property
    def status(self) -> str:
        """Running, Succeeded or Failed."""
        return _DONE.get(self._run.get_status(), "Running")

    @property
    def log(self) -> str:
        """What the build has said so far."""
        return "".join(self._run.get_details_with_logs()["logFiles"].values())

    def wait_for_completion(self, show_output: bool = True) -> None:
        """Returns once it is built; raises ActivityFailedException where it cannot be."""
        self._run.wait_for_completion(show_output=show_output)


def build(environment: Environment, workspace: Workspace) -> ImageBuildDetails:
    """Starts the build. Raises what Experiment.submit raises."""
    from runner.sdk.experiment import Experiment
    from runner.sdk.script_run_config import ScriptRunConfig

    with tempfile.TemporaryDirectory() as folder:
        config: Any = ScriptRunConfig(folder, command="true", environment=environment)
        return ImageBuildDetails(Experiment(workspace, _EXPERIMENT).submit(config))
