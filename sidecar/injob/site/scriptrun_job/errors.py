"""Errors that Azure ML v1 gives a script, under the names it gives them (azureml-v1.md 1.1).

AzureMLException
|-- UserErrorException -- AuthenticationException
|-- RunEnvironmentException, ExperimentExecutionException, RunConfigurationException, ActivityFailedException
|-- SnapshotException, ModelNotFoundException, ModelPathNotFoundException, ComputeTargetException, ServiceException
`-- TrainingException, WebserviceException, WorkspaceException, ProjectSystemException, DiscoveryUrlNotFoundException,
    AzureMLAggregatedException, DatasetTimestampMissingError, ParallelRunException, WorkspacePrivateEndpointException
"""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` would cost every process more than the rest of this package.
if TYPE_CHECKING:
    from typing import Optional


class AzureMLException(Exception):
    """Any error of the API; its text is laid out as v1 lays it out, because scripts take it apart."""

    _code: Optional[str] = None

    def __init__(self, exception_message: str, inner_exception: Optional[BaseException] = None) -> None:
        super().__init__(exception_message)
        self._message = exception_message
        self.inner_exception = inner_exception

    @property
    def message(self) -> str:
        """What happened, without the layout."""
        return self._message

    def __str__(self) -> str:
        import json  # Only a script that fails needs it.

        code = {} if self._code is None else {"code": self._code}
        response = json.dumps({"error": {**code, "message": self._message}}, indent=4)
        head = f"{type(self).__name__}:\n\tMessage: {self._message}"
        return f"{head}\n\tInnerException {self.inner_exception}\n\tErrorResponse \n{response}"

    def __repr__(self) -> str:
        return str(self)


class UserErrorException(AzureMLException):
    """A call that the script should not have made as it did."""

    _code = "UserError"


class AuthenticationException(UserErrorException):
    """Somebody could not prove who they are."""


class RunEnvironmentException(AzureMLException):
    """The script asked for the run that it belongs to, and belongs to none."""

    def __init__(self) -> None:
        super().__init__(
            "Could not load a submitted run, if outside of an execution context, use experiment.start_logging to "
            "initialize an azureml.core.Run."
        )


class ExperimentExecutionException(AzureMLException):
    """A run could not be started, or following its output was interrupted."""


class RunConfigurationException(AzureMLException):
    """A configuration object holds something that no run can have."""


class ActivityFailedException(AzureMLException):
    """The run that was waited for failed; `error_details` says why."""

    def __init__(self, error_details: str, inner_exception: Optional[BaseException] = None) -> None:
        super().__init__(f"Activity Failed:\n{error_details}", inner_exception)
        self.error_details = error_details


class SnapshotException(AzureMLException):
    """A source folder cannot be taken."""


class ModelNotFoundException(AzureMLException):
    """There is no such model."""


class ModelPathNotFoundException(AzureMLException):
    """What is to be registered as a model is not among the run's files."""


class ComputeTargetException(AzureMLException):
    """There is no such compute target, or it cannot be used."""


class ServiceException(AzureMLException):
    """A service did not answer as it should; there is none here, but scripts catch it."""


class TrainingException(AzureMLException):
    """An estimator could not train; scripts catch it."""


class WebserviceException(AzureMLException):
    """A deployed model did not answer; scripts catch it."""


class WorkspaceException(AzureMLException):
    """There is no such workspace, or it cannot be used."""


class ProjectSystemException(AzureMLException):
    """A folder is no project, or a broken one."""


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


def not_provided(name: str, why: str = "") -> str:
    """The text for a name of Azure ML's that has no counterpart inside a job."""
    return f"{name} is not provided inside a job: {why or 'nothing in the runner stands behind it'}"
