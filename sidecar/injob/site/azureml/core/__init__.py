"""`from azureml.core import Run`."""

from __future__ import annotations

from scriptrun_job.errors import not_provided
from scriptrun_job.run import Run

__all__ = ["Run"]

TYPE_CHECKING = False  # `typing` would cost every process more than the rest of this package.
if TYPE_CHECKING:
    from typing import NoReturn


def __getattr__(name: str) -> NoReturn:
    raise AttributeError(not_provided(f"azureml.core.{name}"))
