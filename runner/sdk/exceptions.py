"""The exceptions of Azure ML v1 (reference azureml-v1.md 1.1, 2.2), each also the class of `runner.errors` that it is.

AzureMLException                     RunnerError
|-- UserErrorException               UsageError
|   `-- RunConfigurationException    UsageError
|-- SnapshotException                SnapshotError
|-- ExperimentExecutionException     UsageError
|-- RunEnvironmentException          UsageError
`-- ActivityFailedException          RunFailedError
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


class RunConfigurationException(UserErrorException):
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
