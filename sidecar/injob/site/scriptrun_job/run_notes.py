"""What is written on a run: its names, its tags and its properties (azureml-v1.md 2.2, 2.5)."""

from __future__ import annotations

from scriptrun_job.errors import UserErrorException
from scriptrun_job.run_base import RunBase

TYPE_CHECKING = False  # `typing` would cost every process more than the rest of this package.
if TYPE_CHECKING:
    from typing import Any, Dict, Optional


class RunNotes(RunBase):
    """What the submitter wrote on the run, and what the processes of the job on this node have written since."""

    @property
    def name(self) -> str:
        """The display name; v1's older word for it."""
        return self.display_name

    @property
    def display_name(self) -> str:
        """The name for people."""
        return str(self._detail("display_name") or f"run_{self.id}")

    @display_name.setter
    def display_name(self, name: str) -> None:
        self._say("detail", name="display_name", value=str(name))

    @property
    def description(self) -> Optional[str]:
        """The description, if there is one."""
        found = self._detail("description")
        return None if found is None else str(found)

    @description.setter
    def description(self, text: Optional[str]) -> None:
        self._say("detail", name="description", value=None if text is None else str(text))

    def _detail(self, name: str) -> Any:
        own = self._job.about.get(name) if self._child is None else None
        return self._facts.details.get(name, own)

    @property
    def tags(self) -> Dict[str, str]:
        """The run's tags."""
        return self.get_tags()

    def get_tags(self) -> Dict[str, str]:
        """The tags that the run had when it was submitted, as the job has changed them since."""
        found = {**(self._job.about.get("tags") or {} if self._child is None else {}), **self._facts.tags}
        return {name: value for name, value in found.items() if value is not None}

    def tag(self, key: str, value: Any = None) -> None:
        """Sets one tag; without a value it is only there."""
        self.set_tags({key: "" if value is None else value})

    def set_tags(self, tags: Dict[str, Any]) -> None:
        """Sets some tags and keeps the others; what is no text becomes one, with a warning."""
        for key, value in tags.items():
            if not isinstance(value, str):
                warn(f"Converting non-string tag to string: ({key}: {value})")
            self._say("tag", name=str(key), value=str(value))

    def remove_tags(self, tags: Any) -> None:
        """Removes the tags with these names."""
        for key in [tags] if isinstance(tags, str) else tags:
            self._say("tag_removed", name=str(key))

    @property
    def properties(self) -> Dict[str, str]:
        """The run's properties."""
        return self.get_properties()

    def get_properties(self) -> Dict[str, str]:
        """The properties that the run had when it was submitted, and those that the job has added."""
        return {**self._facts.properties, **(self._job.about.get("properties") or {} if self._child is None else {})}

    def add_properties(self, properties: Dict[str, Any]) -> None:
        """Adds properties, for good. Raises UserErrorException, and adds none, where one has another value already."""
        from scriptrun_job.alone import alone

        texts = {str(key): str(value) for key, value in properties.items()}
        with alone(self._job.journal.path):
            known = self.get_properties()
            for key, value in texts.items():
                if known.get(key, value) != value:
                    raise UserErrorException(
                        f"Property {key} is {known[key]!r} already, not {value!r}: properties are immutable."
                    )
            for key, value in texts.items():
                if key not in known:
                    self._say("property", name=key, value=value)


def warn(text: str) -> None:
    """Says something once a call on standard error, or wherever the script sends its logging."""
    import logging

    logging.getLogger("azureml.core.run").warning(text)
