"""Gives a job its Python: an interpreter of the user's, or an environment built once by content and shared."""

from __future__ import annotations

from sidecar.environments.failure import BuildFailed
from sidecar.environments.preparation import Environment, prepare

__all__ = ["BuildFailed", "Environment", "prepare"]
