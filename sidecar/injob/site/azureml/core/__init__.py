"""`from azureml.core import Run`; the other names load when they are used."""

from __future__ import annotations

from scriptrun_job import azureml_modules
from scriptrun_job.catalog import VERSION
from scriptrun_job.run import Run

__all__ = ["VERSION", "Run"]
__getattr__ = azureml_modules.attributes_of(__name__)
