"""ScriptRunConfig: a folder, a script in it, and how to run it (reference azureml-v1.md 1.1)."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any

from runner.sdk.data.reference import DataPath
from runner.sdk.distributed import LOCAL, DockerConfiguration
from runner.sdk.element import Element
from runner.sdk.environment import Environment
from runner.sdk.exceptions import UserErrorException
from runner.sdk.run_configuration import DistributedConfiguration, RunConfiguration, check_docker

_MODEL_LOCATION = "MODEL_LOCATION"
DEFAULT_MAX_RUN_DURATION_S = 30 * 24 * 3600

_logger = logging.getLogger(__name__)


class ScriptRunConfig(Element):
    """What `Experiment.submit` takes. Every attribute, and all of `run_config`, may be changed until then.

    Where `run_config` is given, what it can say itself is taken from it: `compute_target`, `environment`,
    `distributed_job_config`, `docker_runtime_config` and `max_run_duration_seconds` are ignored with a warning.
    Raises RunConfigurationException or UserErrorException for values of a wrong type.
    """

    source_directory: str
    script: str | None
    arguments: list[Any]
    command: str | Sequence[str] | None
    run_config: RunConfiguration

    def __init__(
        self,
        source_directory: str | os.PathLike[str],
        script: str | None = None,
        arguments: Sequence[Any] | None = None,
        run_config: RunConfiguration | None = None,
        _telemetry_values: object = None,
        compute_target: Any = None,
        environment: Environment | None = None,
        distributed_job_config: DistributedConfiguration | None = None,
        resume_from: DataPath | None = None,
        max_run_duration_seconds: int | None = DEFAULT_MAX_RUN_DURATION_S,
        command: str | Sequence[str] | None = None,
        docker_runtime_config: DockerConfiguration | None = None,
    ) -> None:
        if resume_from is not None and not isinstance(resume_from, DataPath):
            raise UserErrorException(f"resume_from parameter should be of type DataPath. Found {type(resume_from)}.")
        if docker_runtime_config is not None:
            check_docker(docker_runtime_config)
        self.source_directory = os.fspath(source_directory)
        _check_arguments(arguments)
        if run_config is not None:
            is_any_ignored = (
                any(
                    value is not None
                    for value in (compute_target, environment, distributed_job_config, docker_runtime_config)
                )
                or max_run_duration_seconds != DEFAULT_MAX_RUN_DURATION_S
            )
            self._adopt(run_config, script, arguments, command, is_any_ignored=is_any_ignored)
        else:
            self._make(
                script, arguments, command, (compute_target, environment, distributed_job_config, docker_runtime_config)
            )
            self.run_config.max_run_duration_seconds = max_run_duration_seconds
        if resume_from is not None:
            self._resume(resume_from)

    def _make(
        self,
        script: str | None,
        arguments: Sequence[Any] | None,
        command: str | Sequence[str] | None,
        given: tuple[Any, Environment | None, DistributedConfiguration | None, DockerConfiguration | None],
    ) -> None:
        compute_target, environment, distributed_job_config, docker_runtime_config = given
        self.script, self.arguments, self.command = script, list(arguments or ()), command
        self.run_config = RunConfiguration()
        self.run_config.target = LOCAL if compute_target is None else compute_target
        if environment is not None:
            self.run_config.environment = environment
        if docker_runtime_config is not None:
            self.run_config.docker = docker_runtime_config
        self.run_config.derive_docker()
        if distributed_job_config is not None:
            self.run_config.distribute(distributed_job_config)

    def _adopt(
        self,
        run_config: RunConfiguration,
        script: str | None,
        arguments: Sequence[Any] | None,
        command: str | Sequence[str] | None,
        *,
        is_any_ignored: bool,
    ) -> None:
        if is_any_ignored:
            _logger.warning(
                "If 'run_config' is specified, the following parameters will be ignored: compute_target, environment, "
                "distributed_job_config, docker_runtime_config, max_run_duration_seconds."
            )
        for name, what, is_twice in (
            ("script", "a script file name", script and run_config.script),
            ("arguments", "arguments", arguments and run_config.arguments),
            ("command", "a command", command and run_config.command),
        ):
            if is_twice:
                has = "have" if name == "arguments" else "has"
                _logger.warning(
                    "If '%s' %s been provided here and %s %s been specified in 'run_config', '%s' provided in "
                    "ScriptRunConfig initialization will take precedence.",
                    name,
                    has,
                    what,
                    has,
                    name,
                )
        self.run_config = run_config
        # What is said here decides whether a script runs or a command; the other is not taken over beside it.
        self.script = script or (None if command else run_config.script)
        self.command = command or (None if script else run_config.command)
        self.arguments = list(arguments or (() if self.command and not self.script else run_config.arguments) or ())

    def _resume(self, resume_from: DataPath) -> None:
        """Gives the script what a former run left, in the argument that v1 gives it in."""
        reference = resume_from.create_data_reference(_MODEL_LOCATION)
        self.run_config.data_references[_MODEL_LOCATION] = reference
        self.arguments = [*self.arguments, "--resume-from", reference]

    def __repr__(self) -> str:
        what = f"command={self.command!r}" if self.command else f"script={self.script!r}, arguments={self.arguments!r}"
        return f"ScriptRunConfig(source_directory={self.source_directory!r}, {what})"


def _check_arguments(arguments: Sequence[Any] | None) -> None:
    if isinstance(arguments, (str, bytes)):
        raise UserErrorException(f"'arguments' must be a list of arguments. Found the text {arguments!r}.")
