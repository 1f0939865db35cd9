"""`azureml` for scripts written for Azure ML v1, as far as a job needs it."""

from __future__ import annotations

from scriptrun_job import azureml_modules

azureml_modules.install()
