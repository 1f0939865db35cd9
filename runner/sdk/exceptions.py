"""The exceptions of Azure ML v1 (reference azureml-v1.md 1.1, 2.2), each also the class of `runner.errors` that it is.

AzureMLException                     RunnerError
|-- UserErrorException               UsageError
|-- RunConfigurationException        UsageError
|-- SnapshotException                SnapshotError
|-- ExperimentExecutionException     UsageError
|-- RunEnvironmentException          UsageError
|-- ActivityFailedException          RunFailedError
|-- ComputeTargetException           UsageError
|-- ModelNotFoundException, ModelPathNotFoundException, WebserviceException, WorkspaceException, ...: UsageError
`-- NotProvidedError                 UsageError   a name of Azure ML's that nothing here stands behind
"""

from __future__ import annotations

import json

from runner.errors import RunFailedError, RunnerError, SnapshotError, UsageError


class AzureMLException(RunnerError):
    """Any error of the Python way; its text is laid out as v1 lays it out, because scripts take it apart."""

    _code: str | None = None

    def __init__(self, exception_message: str, inner_exception: BaseException | None = None) -> None:
        super().__init__(exception_message)
        self.inner_exception = inner_exception

    def __str__(self) -> str:
        code = {} if self._code is None else {"code": self._code}
        response = json.dumps({"error": {**code, "message": self.message}}, indent=4)
        head, inner = f"{type(self).__name__}:\n\tMessage: {self.message}", self.inner_exception
        return f"{head}\n\tInnerException {inner}\n\tErrorResponse \n{response}"


class UserErrorException(AzureMLException, UsageError):
    """What the caller asked for is not allowed, or does not exist."""

    _code = "UserError"


class RunConfigurationException(AzureMLException, UsageError):
    """A configuration object holds something that no run can have."""


class SnapshotException(AzureMLException, SnapshotError):
    """The source folder cannot be taken as it is."""


class ExperimentExecutionException(AzureMLException, UsageError):
    """A run could not be started, or following its output was interrupted."""


class RunEnvironmentException(AzureMLException, UsageError):
    """The caller asked for the run that it belongs to, and belongs to none."""


class ActivityFailedException(AzureMLException, RunFailedError):
    """The run that was waited for ended as Failed; `error_details` is its error object as JSON text."""

    def __init__(self, error_details: str, inner_exception: BaseException | None = None) -> None:
        super().__init__(f"Activity Failed:\n{error_details}", inner_exception)
        self.error_details = error_details


class ComputeTargetException(AzureMLException, UsageError):
    """There is no such compute target, or it cannot be used like this."""


class ModelNotFoundException(AzureMLException, UsageError):
    """There is no such model in the workspace."""


class ModelPathNotFoundException(AzureMLException, UsageError):
    """What was to be registered as a model is not among the run's files."""


class WorkspaceException(AzureMLException, UsageError):
    """There is no such workspace, or it cannot be used."""


class ProjectSystemException(AzureMLException, UsageError):
    """A folder is no project, or a broken one."""


class AuthenticationException(UserErrorException):
    """Somebody could not prove who they are; scripts catch it."""


class TrainingException(AzureMLException):
    """An estimator could not train; scripts catch it."""


class WebserviceException(AzureMLException):
    """A deployed model did not answer; scripts catch it."""


class ServiceException(AzureMLException):
    """A service did not answer as it should; scripts catch it."""


class DiscoveryUrlNotFoundException(AzureMLException):
    """A region's services were not found; scripts catch it."""


class AzureMLAggregatedException(AzureMLException):
    """Several errors at once; scripts catch it."""


class DatasetTimestampMissingError(AzureMLException):
    """A data set has no column of times."""


class ParallelRunException(AzureMLException):
    """A parallel step failed; scripts catch it."""


class WorkspacePrivateEndpointException(AzureMLException):
    """A workspace's private network failed; scripts catch it."""


class NotProvidedError(UserErrorException):
    """A name of Azure ML's that has no counterpart here; the message says which, and why."""
