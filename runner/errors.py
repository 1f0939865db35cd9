"""Every error a caller of `runner` can meet, in one tree, with the exit code each becomes at the door.

RunnerError                      1
|-- UsageError                   2   the request itself is wrong; nothing was created
|   |-- ConfigError              2   a config file is wrong: carries file, line, column
|   |-- SnapshotError            2   the source folder cannot be taken as it is
|   `-- WorkspaceError           2   the workspace cannot be read or written
|-- MachineError                 3   a machine could not be reached or lacks something
|   `-- EnvironmentBuildError    3   the job's environment could not be made
|-- NoSuchRunError               4   no run (or more than one) goes by that name
|-- RunFailedError             100   the run ended as Failed
`-- RunCanceledError           103   the run ended as Canceled
"""

from __future__ import annotations


class RunnerError(Exception):
    """A failure with a message for a person: what failed, on what, why, and what to try.

    `hint` is the last part, kept apart so that a door can print it on a line of its own.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n  try: {self.hint}"


class UsageError(RunnerError):
    """The request is wrong, so nothing was started and nothing was created."""

    exit_code = 2


class ConfigError(UsageError):
    """A config file (or a `--set`) holds something that is not allowed.

    `line` and `column` count from 1 and are None where the value has no place in a file.
    """

    def __init__(
        self,
        message: str,
        *,
        source: str,
        line: int | None = None,
        column: int | None = None,
        hint: str | None = None,
    ) -> None:
        place = source if line is None else f"{source}:{line}:{column}"
        super().__init__(f"{place}: {message}", hint=hint)
        self.source = source
        self.line = line
        self.column = column


class SnapshotError(UsageError):
    """The source folder is too large, changes while it is copied, or points outside itself."""


class WorkspaceError(UsageError):
    """The workspace cannot be found, read or written."""


class MachineError(RunnerError):
    """A machine could not be reached, or lacks something that the run needs.

    `is_final`: the cause stays until a person removes it (a changed host key, a refused login, no Python), so that
    trying again by itself is of no use.
    `step`: what failed on the way to a node: "reached", "host key", "login", "python" or "disk".
    """

    exit_code = 3
    step: str | None = None

    def __init__(self, message: str, *, hint: str | None = None, is_final: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.is_final = is_final


class EnvironmentBuildError(MachineError):
    """The environment for the job could not be built; the build log says why."""


class NoSuchRunError(RunnerError):
    """No run goes by that id, or several share the given prefix."""

    exit_code = 4


class RunFailedError(RunnerError):
    """The run reached its end as Failed."""

    exit_code = 100


class RunCanceledError(RunnerError):
    """The run reached its end as Canceled."""

    exit_code = 103
