"""`mlflow:` in a config: a user's own MLflow server, to which a run is copied while it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from runner.errors import UsageError
from runner.spec.keys import MLFLOW
from runner.spec.section import Section
from runner.spec.tree import at


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorSpec:
    """Where to, under which experiment (None: the run's own), and which files: patterns as in `.gitignore`, relative
    to the run folder. Raises UsageError for an address that is none, or that holds a password.
    """

    tracking_uri: str
    experiment_name: str | None = None
    files: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.tracking_uri)
            is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_address = False
        if not is_address:
            raise UsageError(
                f"mlflow.tracking_uri {self.tracking_uri!r} is not the address of a server",
                hint="http://host:5000 or https://host",
            )
        if parts.username is not None:
            raise UsageError(
                "mlflow.tracking_uri holds a user name or a password, which would be kept in run.json",
                hint="set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD where the command is typed",
            )

    def to_record(self) -> dict[str, Any]:
        """The values as JSON."""
        return {
            "tracking_uri": self.tracking_uri,
            "experiment_name": self.experiment_name,
            "files": list(self.files),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any] | None) -> MirrorSpec | None:
        """What `to_record` described; None for None."""
        return None if record is None else cls(**{**record, "files": tuple(record["files"])})


def read_mirror(top: Section) -> MirrorSpec | None:
    """The mirror that the top of a config asks for. Raises ConfigError."""
    if "mlflow" not in top:
        return None
    section = top.section("mlflow", MLFLOW)
    address = section.text("tracking_uri")
    if address is None:
        raise section.place.error("'mlflow' names no server", hint="mlflow: {tracking_uri: http://host:5000}")
    return at(
        section.place_of("tracking_uri"),
        lambda: MirrorSpec(
            tracking_uri=address, experiment_name=section.text("experiment_name"), files=section.texts("files")
        ),
    )
