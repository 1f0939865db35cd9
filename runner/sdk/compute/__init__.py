"""Compute targets as v1 has them, over the workspace's compute files (reference azureml-v1.md 1.6)."""

from runner.sdk.compute.amlcompute import AmlCompute
from runner.sdk.compute.remote import RemoteCompute
from runner.sdk.compute.target import ComputeTarget

__all__ = ["AmlCompute", "ComputeTarget", "RemoteCompute"]
