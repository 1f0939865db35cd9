"""A YAML document as plain values that remember where they stand and how they were written.

    Value = Scalar | ListValue | MapValue      every one has a Place
                                 `-- Entry     key, place of the key, value

A scalar keeps its source text: `1e-3`, `010`, `true` and `null` are what the file says, not what a YAML
version makes of them. Whoever reads a value decides what it must be.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from runner.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SHOWN_CHARACTERS = 60  # of a value in a message: fewer hide which value is meant, more bury the rest of the message


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a value was written: a file with line and column (from 1), or an option such as `--set key=value`."""

    source: str
    line: int | None = None
    column: int | None = None

    def error(self, message: str, *, hint: str | None = None) -> ConfigError:
        """The error to raise about what stands here."""
        return ConfigError(message, source=self.source, line=self.line, column=self.column, hint=hint)

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}:{self.column}"


_Made = TypeVar("_Made")


def at(place: Place, make: Callable[[], _Made]) -> _Made:
    """What `make` returns; a UsageError that knows no place becomes a ConfigError at `place`."""
    try:
        return make()
    except ConfigError:
        raise
    except UsageError as error:
        raise place.error(error.message, hint=error.hint) from None


class Kind(Enum):
    """What YAML takes a scalar for; the value is how a message calls it."""

    TEXT = "text"
    INTEGER = "a whole number"
    NUMBER = "a number"
    BOOLEAN = "a truth value"
    NOTHING = "nothing"
    DATE = "a date"
    MERGE = "a merge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar:
    """One value: `text` is the source text where it was written plainly, the exact string where it was quoted."""

    text: str
    kind: Kind
    place: Place

    @property
    def found(self) -> str:
        """How a message names this value: `text 'two'`, `a whole number 3`, `nothing`."""
        if self.kind is Kind.NOTHING:
            return "nothing" if not self.text else f"nothing ({self.text})"
        shown = self.text if len(self.text) <= _SHOWN_CHARACTERS else self.text[:_SHOWN_CHARACTERS] + "..."
        return f"{self.kind.value} {shown!r}" if self.kind is Kind.TEXT else f"{self.kind.value} {shown}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListValue:
    """A sequence of values."""

    items: tuple[Value, ...]
    place: Place

    @property
    def found(self) -> str:
        """How a message names this value."""
        return "an empty list" if not self.items else "a list"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One key of a mapping with its value."""

    key: str
    place: Place
    value: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class MapValue:
    """A mapping, in the order of the file; keys are unique and are their source text."""

    entries: tuple[Entry, ...]
    place: Place

    @property
    def found(self) -> str:
        """How a message names this value."""
        return "an empty mapping" if not self.entries else "a mapping"

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def get(self, key: str) -> Value | None:
        """The value of `key`; None where the mapping lacks it."""
        return next((entry.value for entry in self.entries if entry.key == key), None)


Value: TypeAlias = Scalar | ListValue | MapValue


def is_nothing(value: Value | None) -> bool:
    """Whether `value` says nothing: not there, `null`, `~`, or nothing behind the colon."""
    return value is None or (isinstance(value, Scalar) and value.kind is Kind.NOTHING)
