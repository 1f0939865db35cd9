"""The statuses a run can have, spelled as Azure ML v1 spells them (reference azureml-v1.md 2.2)."""

from __future__ import annotations

from enum import Enum


class RunStatus(str, Enum):
    """A run's status; its text form is what `run.json` and every command show."""

    NOT_STARTED = "NotStarted"
    QUEUED = "Queued"
    PREPARING = "Preparing"
    PROVISIONING = "Provisioning"
    STARTING = "Starting"
    RUNNING = "Running"
    CANCEL_REQUESTED = "CancelRequested"
    CANCELED = "Canceled"
    FINALIZING = "Finalizing"
    COMPLETED = "Completed"
    FAILED = "Failed"
    UNAPPROVED = "Unapproved"
    NOT_RESPONDING = "NotResponding"
    PAUSING = "Pausing"
    PAUSED = "Paused"

    def __str__(self) -> str:
        return self.value

    @property
    def is_terminal(self) -> bool:
        """Whether nothing follows this status."""
        return self in TERMINAL


TERMINAL = frozenset({RunStatus.CANCELED, RunStatus.COMPLETED, RunStatus.FAILED})
POST_PROCESSING = frozenset({RunStatus.CANCEL_REQUESTED, RunStatus.FINALIZING})
RUNNING = frozenset(RunStatus) - TERMINAL - POST_PROCESSING
