"""`from azureml.core.run import Run`."""

from scriptrun_job.run import Run

__all__ = ["Run"]
