"""The run of a script that was started by hand: it prints what it would do (azureml-v1.md 2.6, observed there)."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # `typing` would cost every process more than the rest of this package.
if TYPE_CHECKING:
    from typing import Any, Dict, Optional


class _OfflineRun:
    """Prints. It has no parent, experiment, metrics or files to read, as v1's has none."""

    def __init__(self, run_id: str = "") -> None:
        self.id = run_id or f"OfflineRun_{random_uuid()}"

    def log(self, name: str, value: Any, description: str = "") -> None:
        """Prints what would be logged; like v1's it knows no `step`."""
        _attempt("log scalar metric", name, value)

    def log_list(self, name: str, value: Any, description: str = "") -> None:
        """Prints what would be logged."""
        _attempt("log list metric", name, value)

    def log_row(self, name: str, description: Optional[str] = None, **kwargs: Any) -> None:
        """Prints what would be logged."""
        _attempt("log row metric", name, kwargs)

    def log_table(self, name: str, value: Any, description: str = "") -> None:
        """Prints what would be logged."""
        _attempt("log table metric", name, value)

    def log_image(self, name: str, path: Any = None, plot: Any = None, description: str = "") -> None:
        """Prints what would be logged."""
        _attempt("log image metric", name, plot if path is None else path)

    def log_confusion_matrix(self, name: str, value: Any, description: str = "") -> None:
        """Prints what would be logged."""
        _attempt("log confusion_matrix metric", name, value)

    def log_accuracy_table(self, name: str, value: Any, description: str = "") -> None:
        """Prints what would be logged."""
        _attempt("log accuracy_table metric", name, value)

    def log_residuals(self, name: str, value: Any, description: Optional[str] = None) -> None:
        """Prints what would be logged."""
        _attempt("log residual metric", name, value)

    def log_predictions(self, name: str, value: Any, description: str = "") -> None:
        """Prints what would be logged."""
        _attempt("log predictions metric", name, value)

    def tag(self, name: str, value: Any = None) -> None:
        """Prints the tag."""
        print(f"Attempted to add tag {name} with value {value}")

    def set_tags(self, tags: Dict[str, Any]) -> None:
        """Prints the tags."""
        print(f"Attempted to set tags {tags}")

    def add_properties(self, properties: Dict[str, Any]) -> None:
        """Prints the properties."""
        print(f"Attempted to add properties {properties}")

    def upload_file(self, name: str, path_or_stream: Any, datastore_name: Optional[str] = None) -> None:
        """Prints which file would be kept."""
        print(f"Attempted to track file {name} at {path_or_stream}")

    def upload_files(
        self,
        names: Any,
        paths: Any,
        return_artifacts: bool = False,
        timeout_seconds: Optional[int] = None,
        datastore_name: Optional[str] = None,
    ) -> None:
        """Prints which files would be kept."""
        print(f"Attempted to track files {names} at {paths} with timeout {timeout_seconds}s")

    def upload_folder(self, name: str, path: Any, datastore_name: Optional[str] = None) -> None:
        """Prints which folder would be kept."""
        print(f"Attempted to track folder {name} at {path}")

    def child_run(self, name: Optional[str] = None, run_id: Optional[str] = None, outputs: Any = None) -> _OfflineRun:
        """Another run that prints."""
        return OfflineRun(run_id or f"{self.id}.{name or random_uuid()}")

    def flush(self, timeout_seconds: int = 300) -> None:
        """Prints; nothing waits."""
        print(f"Attempted to flush run with id {self.id}")

    def complete(self) -> None:
        """Does nothing."""

    def fail(self, error_details: Any = None, error_code: Any = None) -> None:
        """Prints the failure."""
        print(f"Run failed with error code {error_code}:\n{error_details}")

    def cancel(self) -> None:
        """Does nothing."""

    def __enter__(self) -> _OfflineRun:
        print(f"[START] Run {self.id} context")
        return self

    def __exit__(self, *_: Any) -> None:
        print(f"[STOP] Run {self.id} context")


OfflineRun = _OfflineRun


def _attempt(what: str, name: str, value: Any) -> None:
    print(f"Attempted to {what} {name}:\n{value}")


def random_uuid() -> str:
    """As `str(uuid.uuid4())` looks, without the import."""
    text = os.urandom(16).hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
