"""What MLflow loads at `import mlflow`, through the entry points in pyproject.toml: so it must cost nothing."""

from __future__ import annotations

from typing import Any

_IN_JOB = ("scriptrun_job", "scriptrun_mlflow")


def tracking_store(store_uri: str | None = None, artifact_uri: str | None = None) -> Any:
    """The store behind `scriptrun:` addresses: all runs of a workspace."""
    import os
    from pathlib import Path

    from runner.interop import in_job_code
    from runner.interop.mlflow_address import workspace_of

    in_job_code.find(*_IN_JOB)
    from runner.interop.mlflow_store import WorkspaceStore
    from runner.interop.mlflow_views import WorkspaceViews

    return WorkspaceStore(WorkspaceViews(workspace_of(store_uri or "", os.environ, Path.cwd())))


def registry_store(store_uri: str | None = None, tracking_uri: str | None = None) -> Any:
    """The model registry behind `scriptrun:` addresses: empty."""
    from runner.interop import in_job_code

    in_job_code.find(*_IN_JOB)
    from scriptrun_mlflow.registry import EmptyRegistry

    return EmptyRegistry()


def artifact_repository(artifact_uri: str, *arguments: Any, **options: Any) -> Any:
    """The files of a run behind a `scriptrun:` address."""
    from runner.interop.mlflow_artifacts import RunFiles

    return RunFiles(artifact_uri, *arguments, **options)
