"""`azureml` for scripts and notebooks written for Azure ML v1, on the submitting side; `runner azureml enable`."""

from __future__ import annotations

from runner.azureml import finder

finder.install()
