"""What is written on a run, and how it is told to end (azureml-v1.md 2.2, 2.5, 2.6)."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

from runner.history.run_record import RunRecord, read_record
from runner.history.status import RunStatus
from runner.sdk.exceptions import UserErrorException
from sidecar.contract.layout import OUTPUTS, RunLayout, WorkspaceLayout

_logger = logging.getLogger(__name__)
_Self = TypeVar("_Self", bound="RunState")


class RunState:
    """The names, tags and properties of a run, and its status."""

    _workspace: WorkspaceLayout
    _layout: RunLayout
    _run_id: str
    _outputs: str | None

    @property
    def name(self) -> str:
        """The display name; v1's older word for it."""
        return self.display_name

    @property
    def display_name(self) -> str:
        """The name for people."""
        return self._read().name

    @display_name.setter
    def display_name(self, name: str) -> None:
        self._update(lambda record: dataclasses.replace(record, name=str(name)))

    @property
    def description(self) -> str | None:
        """The description, if there is one."""
        return self._read().description

    @description.setter
    def description(self, text: str | None) -> None:
        self._update(lambda record: dataclasses.replace(record, description=None if text is None else str(text)))

    # What is written on it

    @property
    def tags(self) -> dict[str, str]:
        """The run's tags."""
        return self.get_tags()

    def get_tags(self) -> dict[str, str]:
        """The run's tags as they are now."""
        return dict(self._read().tags)

    def tag(self, key: str, value: str | None = None) -> None:
        """Sets one tag; without a value it is only there."""
        self.set_tags({key: "" if value is None else value})

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Sets some tags and keeps the others; what is no text becomes one, with a warning."""
        texts = as_tags(tags)
        self._update(lambda record: dataclasses.replace(record, tags={**record.tags, **texts}))

    def remove_tags(self, tags: Sequence[str]) -> None:
        """Removes the tags with these names."""
        gone = {tags} if isinstance(tags, str) else set(tags)
        self._update(
            lambda record: dataclasses.replace(
                record, tags={key: value for key, value in record.tags.items() if key not in gone}
            )
        )

    @property
    def properties(self) -> dict[str, str]:
        """The run's properties: snapshot, git state, where the process lists are."""
        return self.get_properties()

    def get_properties(self) -> dict[str, str]:
        """The run's properties as they are now."""
        return dict(self._read().properties)

    def add_properties(self, properties: Mapping[str, Any]) -> None:
        """Adds properties, for good. Raises UserErrorException, and adds none, where one has another value already."""
        texts = {str(key): str(value) for key, value in properties.items()}

        def change(record: RunRecord) -> RunRecord:
            for key, value in texts.items():
                if record.properties.get(key, value) != value:
                    raise UserErrorException(
                        f"Property {key} is {record.properties[key]!r} already, not {value!r}: "
                        "properties are immutable."
                    )
            return dataclasses.replace(record, properties={**record.properties, **texts})

        self._update(change)

    # How it ends

    def start(self) -> None:
        """Marks the run as Running; an interactive run is from its beginning."""

    def complete(self, _set_status: bool = True) -> None:
        """Marks an interactive run as Completed; of one that was submitted only its processes decide."""
        self._end(RunStatus.COMPLETED)

    def fail(self, error_details: Any = None, error_code: Any = None, _set_status: bool = True) -> None:
        """Marks an interactive run as Failed; one that was submitted is stopped, and ends as Canceled."""
        from runner.history.run_kind import has_controller

        words = [str(word) for word in (error_code, error_details) if word is not None]
        if has_controller(self._read()):
            _logger.warning("run %s was submitted: it is canceled, since only its processes can fail", self._run_id)
            self.cancel()
        else:
            self._end(RunStatus.FAILED, ": ".join(words) or "The run was marked as failed.")

    def cancel(self) -> None:
        """Asks for the run's end and returns at once; a run that has ended stays as it is."""
        from runner.cancellation import request_cancel

        request_cancel(self._workspace, self._run_id)

    def _end(self, status: RunStatus, error: str | None = None) -> None:
        from runner.history.run_kind import has_controller
        from runner.interactive import end

        if has_controller(self._read()):
            _logger.warning("run %s was submitted: its own processes decide how it ends", self._run_id)
            return
        if self._outputs and os.path.isdir(self._outputs):
            folder, self._outputs = self._outputs, None
            self._keep_folder(folder)
        end(self._layout, status, error)

    def _keep_folder(self, folder: str) -> None:
        import shutil

        shutil.copytree(folder, self._layout.root / OUTPUTS, dirs_exist_ok=True)

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        from runner.history.run_kind import has_controller

        if has_controller(self._read()):
            return
        if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
            self.complete()
        else:
            self.fail(error_details=f"{type(error).__name__}: {error}")

    def _read(self) -> RunRecord:
        return read_record(self._layout)

    def _update(self, change: Any) -> None:
        from runner.history.record_update import update_record

        update_record(self._layout, change)


def as_tags(tags: Mapping[str, Any]) -> dict[str, str]:
    """`tags` with texts for values; warns about every value that was none."""
    for key, value in tags.items():
        if not isinstance(value, str):
            _logger.warning("Converting non-string tag to string: (%s: %s)", key, value)
    return {str(key): str(value) for key, value in tags.items()}
