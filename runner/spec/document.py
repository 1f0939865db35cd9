"""Reads one YAML document into a tree (`tree.py`), and refuses what no config can mean.

Built from the parser's events, not from PyYAML's composed nodes: the composer recurses in C, and a file of some
thousand brackets would end the process; and events let aliases be counted before they are expanded.
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING, Any

from runner.errors import ConfigError
from runner.spec.places import CONFIG_FOLDERS
from runner.spec.tree import Entry, Kind, ListValue, MapValue, Place, Scalar, Value

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIZE_LIMIT_BYTES = 1024 * 1024  # smaller refuses a long list of arguments; larger makes a wrong file slow to refuse
DEPTH_LIMIT = 32  # a config is at most 5 deep; larger comes near the interpreter's own recursion limit
VALUE_LIMIT = 100_000  # values with every alias expanded; larger lets a bomb, or a data file, cost seconds and memory

_CONFIG_SUFFIXES = ("", ".yml", ".yaml", ".runconfig", ".compute")  # what may be meant by a name that is not there

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TAG = "tag:yaml.org,2002:"
_KINDS = {
    f"{_TAG}str": Kind.TEXT,
    f"{_TAG}value": Kind.TEXT,  # a lone `=`
    f"{_TAG}int": Kind.INTEGER,
    f"{_TAG}float": Kind.NUMBER,
    f"{_TAG}bool": Kind.BOOLEAN,
    f"{_TAG}null": Kind.NOTHING,
    f"{_TAG}timestamp": Kind.DATE,
    f"{_TAG}merge": Kind.MERGE,
}


def read_document(path: Path) -> MapValue:
    """The mapping that the file at `path` holds.

    Raises ConfigError where the file cannot be read, is too large, or is not one YAML mapping in UTF-8.
    """
    source = str(path)
    value = parse_document(_decode(_read_bytes(path), source), source=source)
    if isinstance(value, MapValue):
        return value
    if value is None:
        raise ConfigError("is empty; expected 'key: value' lines", source=source, hint="script: train.py")
    raise value.place.error(f"expected 'key: value' lines at the top, found {value.found}", hint="script: train.py")


def parse_document(text: str, *, source: str, has_lines: bool = True) -> Value | None:
    """The one value in `text`, None where it holds nothing at all; without `has_lines`, places name the source only."""
    import yaml

    unprintable = _UNPRINTABLE.search(text)
    places = _Places(source, has_lines)
    if unprintable:
        place = places.at_offset(text, unprintable.start())
        raise place.error(
            f"the character U+{ord(unprintable[0]):04X} cannot stand in YAML",
            hint='write it as an escape in double quotes, such as "\\e"',
        )
    loader_class: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loader = loader_class(text)
    try:
        return _Builder(loader, yaml, places).document()
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, text, places) from None
    finally:
        loader.dispose()


def _read_bytes(path: Path) -> bytes:
    source = str(path)
    try:
        with open(path, "rb", opener=_open_without_waiting) as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise ConfigError("is no regular file", source=source)
            content = stream.read(SIZE_LIMIT_BYTES + 1)
            size_bytes = os.fstat(stream.fileno()).st_size
    except FileNotFoundError:
        raise ConfigError("no such file", source=source, hint=_nearest_file(path)) from None
    except IsADirectoryError:
        raise ConfigError("is a folder; expected a YAML file", source=source) from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot be read: {getattr(error, 'strerror', None) or error}", source=source) from error
    if len(content) > SIZE_LIMIT_BYTES:
        raise ConfigError(
            f"is {size_bytes} bytes large; a config may have at most {SIZE_LIMIT_BYTES}",
            source=source,
            hint="keep data in a file of its own and name that file in 'arguments'",
        )
    return content


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO without a writer would wait for ever


def _nearest_file(path: Path) -> str | None:
    from difflib import get_close_matches

    for folder in CONFIG_FOLDERS:
        for name in (path.name, f"{path.name}.runconfig"):  # v1's tools took the name alone
            if (path.parent / folder / name).is_file():
                return str(path.parent / folder / name)
    try:
        entries = [entry for entry in os.scandir(path.parent) if entry.is_file()]
    except OSError:
        return f"there is no folder {path.parent}"
    names = [entry.name for entry in entries if os.path.splitext(entry.name)[1] in _CONFIG_SUFFIXES]
    near = get_close_matches(path.name, names, n=1)
    return str(path.with_name(near[0])) if near else None


def _decode(content: bytes, source: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        message = f"byte 0x{content[error.start]:02x} at offset {error.start} is not UTF-8"
        raise ConfigError(message, source=source, line=line, column=column, hint="save the file as UTF-8") from None


class _Places:
    """Makes places of one source."""

    def __init__(self, source: str, has_lines: bool) -> None:
        self._source = source
        self._has_lines = has_lines

    def at_mark(self, mark: Any) -> Place:
        if mark is None or not self._has_lines:
            return Place(source=self._source)
        return Place(source=self._source, line=mark.line + 1, column=mark.column + 1)

    def at_offset(self, text: str, offset: int) -> Place:
        if not self._has_lines:
            return Place(source=self._source)
        column = offset - text.rfind("\n", 0, offset)
        return Place(source=self._source, line=text.count("\n", 0, offset) + 1, column=column)


class _Builder:
    """Turns the events of one document into a tree."""

    def __init__(self, loader: Any, yaml: Any, places: _Places) -> None:
        self._loader = loader
        self._yaml = yaml
        self._places = places
        self._anchors: dict[str, tuple[Value, int] | None] = {}  # None: the anchored value is still being read
        self._count = 0  # values so far, aliases expanded

    def document(self) -> Value | None:
        """The value of the only document."""
        self._loader.get_event()  # the start of the stream
        if self._loader.check_event(self._yaml.StreamEndEvent):
            return None
        self._loader.get_event()  # the start of the document
        value = self._value(0)
        self._loader.get_event()  # its end
        if not self._loader.check_event(self._yaml.StreamEndEvent):
            place = self._places.at_mark(self._loader.peek_event().start_mark)
            raise place.error("a second document starts here; a config is one document", hint="remove the '---' line")
        if isinstance(value, Scalar) and value.kind is Kind.NOTHING and not value.text:
            return None
        return value

    def _value(self, depth: int) -> Value:
        event = self._loader.get_event()
        place = self._places.at_mark(event.start_mark)
        before = self._count
        self._count_one(place)
        if isinstance(event, self._yaml.AliasEvent):
            return self._alias(event.anchor, place)
        if depth > DEPTH_LIMIT:
            raise place.error(f"lists and mappings are nested deeper than {DEPTH_LIMIT}")
        if event.anchor:
            self._anchors[event.anchor] = None
        value = self._collection_or_scalar(event, place, depth)
        if event.anchor:
            self._anchors[event.anchor] = (value, self._count - before)
        return value

    def _collection_or_scalar(self, event: Any, place: Place, depth: int) -> Value:
        if isinstance(event, self._yaml.ScalarEvent):
            return self._scalar(event, place)
        if isinstance(event, self._yaml.SequenceStartEvent):
            self._refuse_tag(event, "seq", place)
            return ListValue(items=tuple(self._items(depth)), place=place)
        self._refuse_tag(event, "map", place)
        return MapValue(entries=self._entries(depth), place=place)

    def _scalar(self, event: Any, place: Place) -> Scalar:
        tag = event.tag if event.tag not in (None, "!") else None
        if tag is None:
            tag = self._loader.resolve(self._yaml.ScalarNode, event.value, event.implicit)
        kind = _KINDS.get(tag)
        if kind is None:
            raise place.error(f"the tag {_short_tag(tag)} has no meaning here", hint="write the value without a tag")
        return Scalar(text=event.value, kind=kind, place=place)

    def _items(self, depth: int) -> Iterator[Value]:
        while not self._loader.check_event(self._yaml.SequenceEndEvent):
            yield self._value(depth + 1)
        self._loader.get_event()

    def _entries(self, depth: int) -> tuple[Entry, ...]:
        entries: dict[str, Entry] = {}
        merged: list[Value] = []
        while not self._loader.check_event(self._yaml.MappingEndEvent):
            key = self._value(depth + 1)
            if not isinstance(key, Scalar):
                raise key.place.error(f"expected a key, found {key.found}")
            value = self._value(depth + 1)
            if key.kind is Kind.MERGE:
                merged.append(value)
                continue
            if key.text in entries:
                raise key.place.error(f"the key '{key.text}' is here twice; first at {entries[key.text].place}")
            entries[key.text] = Entry(key=key.text, place=key.place, value=value)
        self._loader.get_event()
        return tuple(_merge(entries, merged).values())

    def _alias(self, name: str, place: Place) -> Value:
        if name not in self._anchors:
            raise place.error(
                f"*{name} refers to an anchor &{name} that is not above", hint="quote text that has a '*'"
            )
        anchored = self._anchors[name]
        if anchored is None:
            raise place.error(f"*{name} refers to the value that it is part of")
        value, size = anchored
        self._count += size - 1
        self._count_one(place)
        return value

    def _count_one(self, place: Place) -> None:
        self._count += 1
        if self._count > VALUE_LIMIT:
            raise place.error(f"holds more than {VALUE_LIMIT} values, counting what aliases repeat")

    def _refuse_tag(self, event: Any, allowed: str, place: Place) -> None:
        if event.tag not in (None, "!", _TAG + allowed):
            raise place.error(f"the tag {_short_tag(event.tag)} has no meaning here", hint="remove the tag")


def _merge(entries: dict[str, Entry], merged: list[Value]) -> dict[str, Entry]:
    """`<<: *base` and `<<: [*a, *b]`: what is merged in never replaces a key that is there."""
    for value in merged:
        for base in value.items if isinstance(value, ListValue) else (value,):
            if not isinstance(base, MapValue):
                raise base.place.error(f"'<<' merges mappings; found {base.found}")
            for entry in base:
                entries.setdefault(entry.key, entry)
    return entries


def _short_tag(tag: str) -> str:
    return "!!" + tag[len(_TAG) :] if tag.startswith(_TAG) else tag


def _syntax_error(error: Any, text: str, places: _Places) -> ConfigError:
    mark = error.problem_mark or error.context_mark
    place = places.at_mark(mark)
    lines = text.split("\n")
    line = lines[mark.line] if mark is not None and mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return place.error("a tab cannot indent YAML", hint="use spaces")
    problem = str(error.problem or "cannot be understood")
    if problem == "mapping values are not allowed in this context":
        return place.error("a second ': ' on this line", hint="put quotes around text that has ': ' in it")
    if problem == "found character that cannot start any token":
        return place.error("a value cannot start with this character", hint="put quotes around the text")
    since = error.context_mark
    begun = f" ({error.context}, which starts at {places.at_mark(since)})" if error.context and since else ""
    return place.error(f"not valid YAML: {problem}{begun}", hint="quote text that has special characters")
