"""`azureml` for scripts written for Azure ML v1, as far as a job needs it."""

from __future__ import annotations

import sys

from scriptrun_job.errors import not_provided

TYPE_CHECKING = False  # `typing` would cost every process more than the rest of this package.
if TYPE_CHECKING:
    from typing import NoReturn


class _ModulesNotProvided:
    """Answers an import of any other `azureml` module with what there is, instead of a bare name."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        """Asked last, so `name` was found nowhere."""
        if name.startswith("azureml."):
            raise ModuleNotFoundError(not_provided(name))  # With its `name`, `from ... import` would drop the text.


def __getattr__(name: str) -> NoReturn:
    raise AttributeError(not_provided(f"azureml.{name}"))


sys.meta_path.append(_ModulesNotProvided)
