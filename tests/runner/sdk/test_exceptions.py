"""The exceptions of Azure ML v1."""

from __future__ import annotations

import json

import pytest

from runner import errors
from runner.sdk import exceptions


def test_text_is_laid_out_as_v1_does() -> None:
    """Scripts that take v1's messages apart find the same parts in the same places."""
    text = str(exceptions.UserErrorException("no such thing"))
    head, response = text.split("\n\tErrorResponse \n")
    assert head == "UserErrorException:\n\tMessage: no such thing\n\tInnerException None"
    assert json.loads(response) == {"error": {"code": "UserError", "message": "no such thing"}}


def test_inner_exception_is_told() -> None:
    """What caused an error is part of its text."""
    error = exceptions.SnapshotException("too large", ValueError("why"))
    assert "\n\tInnerException why\n" in str(error)
    assert error.message == "too large"


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("UserErrorException", errors.UsageError),
        ("RunConfigurationException", errors.UsageError),
        ("ExperimentExecutionException", errors.UsageError),
        ("SnapshotException", errors.SnapshotError),
        ("ActivityFailedException", errors.RunFailedError),
    ],
)
def test_every_exception_is_one_of_the_runners(name: str, base: type[Exception]) -> None:
    """Who catches the runner's own classes catches v1's as well."""
    assert issubclass(getattr(exceptions, name), base)
    assert issubclass(getattr(exceptions, name), exceptions.AzureMLException)
