"""Takes typed values out of one mapping of a config; every refusal says where, what was expected, what was found."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from runner.spec.keys import Keys, nearest_key, to_snake
from runner.spec.tree import Entry, Kind, ListValue, MapValue, Place, Scalar, Value, is_nothing

if TYPE_CHECKING:
    from runner.errors import ConfigError

_DECIMAL = re.compile(r"^[+-]?(?:0|[1-9][0-9_]*)$")
_PLAIN = re.compile(r"^[\w./$+=-][\w./$+=:@-]*(?<!:)$")  # a word that needs no quotes in a YAML list
_TRUE = frozenset(("true", "yes", "on"))


class Section:
    """One mapping whose keys are known: raises ConfigError for an unknown key or one given twice, when made.

    A key is asked for in snake_case and found in camelCase too; `null` is the same as not given.
    """

    def __init__(
        self,
        value: MapValue,
        *,
        keys: Keys,
        path: str = "",
        known: Keys | None = None,
        same_key: Mapping[str, str] | None = None,
    ) -> None:
        self.place = value.place
        self._path = path
        self._keys = keys
        self._known = keys if known is None else known  # the whole file's, for a key that belongs elsewhere in it
        self._same_key = same_key or {}
        self._entries: dict[str, Entry] = {}
        for entry in value:
            name = to_snake(entry.key)
            name = self._same_key.get(name, name)
            if name not in keys:
                raise self._unknown(entry)
            if name in self._entries:
                first = self._entries[name]
                raise entry.place.error(f"'{entry.key}' is given twice; first as '{first.key}' at {first.place}")
            self._entries[name] = entry

    def __contains__(self, key: str) -> bool:
        return self.value(key) is not None

    def value(self, key: str) -> Value | None:
        """The value of `key` as it stands in the tree; None where it is not given or null."""
        entry = self._entries.get(key)
        return None if entry is None or is_nothing(entry.value) else entry.value

    def place_of(self, key: str) -> Place:
        """Where the value of `key` stands; the section's own place where it is not given."""
        entry = self._entries.get(key)
        return self.place if entry is None else entry.value.place

    def path_of(self, key: str) -> str:
        """The dotted path of `key` from the top of the config."""
        return f"{self._path}.{key}" if self._path else key

    def text(self, key: str) -> str | None:
        """The text of `key`; an empty text counts as not given, as in a generated `.runconfig`."""
        value = self.value(key)
        if value is None:
            return None
        if not isinstance(value, Scalar) or value.kind is not Kind.TEXT:
            hint = f'"{value.text}"' if isinstance(value, Scalar) else None
            raise self.wrong(key, "text", hint=hint)
        if "\0" in value.text:
            raise value.place.error(f"'{self.path_of(key)}' has a NUL character in it")
        return value.text or None

    def written(self, key: str) -> str | None:
        """The source text of `key`, whatever YAML takes it for: sizes, names that are numbers."""
        value = self.value(key)
        if value is None:
            return None
        return scalar_text(value, self.path_of(key)) or None

    def integer(self, key: str, *, minimum: int, maximum: int = 1_000_000_000) -> int | None:
        """The whole number of `key`, in decimal, from `minimum` to `maximum`."""
        value = self.value(key)
        if value is None or (isinstance(value, Scalar) and not value.text):
            return None
        if not isinstance(value, Scalar) or value.kind is not Kind.INTEGER:
            raise self.wrong(key, f"a whole number from {minimum}", hint=_unquoted_number(value))
        if not _DECIMAL.match(value.text):
            raise self.wrong(key, "a whole number in decimal digits", hint="no leading zero, no 0x, no 1:30")
        # The length is looked at first: int() of a very long text is slow, and refused by newer Pythons.
        number = int(value.text) if len(value.text) <= 20 else maximum + 1
        if value.text.startswith("-") and len(value.text) > 20:
            number = minimum - 1
        if not minimum <= number <= maximum:
            limit = f"at least {minimum}" if number < minimum else f"at most {maximum}"
            raise value.place.error(f"'{self.path_of(key)}' must be {limit}, found {_short(value.text)}")
        return number

    def boolean(self, key: str, *, default: bool) -> bool:
        """Whether `key` is true."""
        value = self.value(key)
        if value is None:
            return default
        if not isinstance(value, Scalar) or value.kind is not Kind.BOOLEAN:
            raise self.wrong(key, "true or false")
        return value.text.lower() in _TRUE

    def scalars(self, key: str) -> tuple[Scalar, ...]:
        """The items of the list `key`, every one a scalar."""
        value = self.value(key)
        if value is None:
            return ()
        if not isinstance(value, ListValue):
            hint = _as_list(value.text) if isinstance(value, Scalar) and len(value.text) < 60 else None
            raise self.wrong(key, "a list", hint=hint and f"{key}: {hint}")
        return tuple(self._items(value, key))

    def texts(self, key: str) -> tuple[str, ...]:
        """The source texts of the list `key`."""
        return tuple(item.text for item in self.scalars(key))

    def mapping(self, key: str) -> MapValue | None:
        """The mapping under `key` as it stands in the tree."""
        value = self.value(key)
        if value is None or isinstance(value, MapValue):
            return value
        raise self.wrong(key, "a mapping (key: value)")

    def section(self, key: str, keys: Keys) -> Section:
        """The mapping under `key` as a section that takes `keys`; an empty one where it is not given."""
        value = self.mapping(key) or MapValue(entries=(), place=self.place_of(key))
        return Section(value, keys=keys, path=self.path_of(key), known=self._known)

    def text_map(self, key: str) -> dict[str, Scalar]:
        """The mapping under `key`, whose keys are the user's own and whose values are scalars."""
        scalars: dict[str, Scalar] = {}
        for entry in self.mapping(key) or ():
            if not isinstance(entry.value, Scalar):
                raise _expected("text", entry.value, f"{self.path_of(key)}.{entry.key}")
            if not entry.key:
                raise entry.place.error(f"'{self.path_of(key)}' has an empty key")
            scalars[entry.key] = entry.value
        return scalars

    def wrong(self, key: str, expected: str, *, hint: str | None = None) -> ConfigError:
        """The error for a `key` whose value is not what was expected."""
        value = self._entries[key].value
        return _expected(expected, value, self.path_of(key), hint=hint)

    def _items(self, value: ListValue, key: str) -> Iterator[Scalar]:
        for index, item in enumerate(value.items):
            if not isinstance(item, Scalar):
                raise _expected("text, a number or a truth value", item, f"{self.path_of(key)}[{index}]")
            yield item

    def _unknown(self, entry: Entry) -> ConfigError:
        keys = {**self._keys, **dict.fromkeys(self._same_key)}
        near = nearest_key(entry.key, keys=keys, path=self._path, everywhere=self._known)
        where = f" in '{self._path}'" if self._path else ""
        asked = f"; did you mean '{near}'?" if near else ""
        allowed = [key for key in (self._keys if self._path else self._known) if key != "*"]
        return entry.place.error(f"unknown key '{entry.key}'{where}{asked}", hint=f"one of {', '.join(allowed)}")


def chosen(value: MapValue, key: str, choices: Iterable[str]) -> str | None:
    """The one of `choices` that `key` names, in any letters; None where it names none. For mappings whose other keys
    depend on that one.
    """
    written = value.get(key)
    text = written.text.lower() if isinstance(written, Scalar) else ""
    return next((choice for choice in choices if choice.lower() == text), None)


def scalar_text(value: Value, path: str) -> str:
    """The source text of a scalar; raises ConfigError for a list or a mapping."""
    if not isinstance(value, Scalar):
        raise _expected("text", value, path)
    return value.text


def _expected(expected: str, value: Value, path: str, *, hint: str | None = None) -> ConfigError:
    return value.place.error(f"'{path}' must be {expected}, found {value.found}", hint=hint)


def _as_list(text: str) -> str:
    """The words of `text`, as a shell would split them, as a YAML list on one line."""
    try:
        words = shlex.split(text)
    except ValueError:  # a quote that nothing closes
        words = [text]
    return f"[{', '.join(word if _PLAIN.match(word) else json.dumps(word, ensure_ascii=False) for word in words)}]"


def _unquoted_number(value: Value) -> str | None:
    is_quoted = isinstance(value, Scalar) and value.kind is Kind.TEXT and _DECIMAL.match(value.text)
    return f"{value.text} without quotes" if is_quoted and isinstance(value, Scalar) else None


def _short(text: str) -> str:
    return text if len(text) <= 24 else text[:24] + "..."
