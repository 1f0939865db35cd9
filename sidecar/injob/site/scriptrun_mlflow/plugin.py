"""What MLflow loads at `import mlflow`, through the entry points beside this package: so it must cost nothing."""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` would cost every process more than the rest of this file.
if TYPE_CHECKING:
    from typing import Any, Optional


def tracking_store(store_uri: Optional[str] = None, artifact_uri: Optional[str] = None) -> Any:
    """The store behind `scriptrun-job:` addresses: the job that this process belongs to."""
    from scriptrun_mlflow.job_store import JobStore

    return JobStore()


def registry_store(store_uri: Optional[str] = None, tracking_uri: Optional[str] = None) -> Any:
    """The model registry behind `scriptrun-job:` addresses."""
    from scriptrun_mlflow.registry import JobRegistry

    return JobRegistry()
