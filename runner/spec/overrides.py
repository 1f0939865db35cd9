"""Lays `--set key=value` over the tree of a config: dotted keys, the value read as YAML."""

from __future__ import annotations

from collections.abc import Sequence

from runner.errors import ConfigError
from runner.spec.document import parse_document
from runner.spec.keys import SAME_KEY, to_snake
from runner.spec.tree import Entry, Kind, MapValue, Place, Scalar, Value, is_nothing

# Below these the keys are the user's own: nothing is folded, and a dot is part of the key.
_FREE = (("tags",), ("environment_variables",), ("environment", "environment_variables"))


def apply_overrides(tree: MapValue, overrides: Sequence[str]) -> MapValue:
    """`tree` with every `key=value` of `overrides` laid over it, in order; later ones win.

    What an override says has the place `--set key=value`, so every complaint about it names the option.
    """
    for override in overrides:
        place = Place(source=f"--set {_shown(override)}")
        path, value = _parse(override, place)
        tree = _with_value(tree, path, (), value, place)
    return tree


def _shown(override: str) -> str:
    return override if len(override) <= 120 else override[:120] + "..."


def _parse(override: str, place: Place) -> tuple[tuple[str, ...], Value]:
    key, equals, text = override.partition("=")
    if not equals:
        raise place.error("expected key=value", hint=f"--set {key}=VALUE")
    parts = tuple(part.strip() for part in key.split("."))
    if not all(parts):
        raise place.error("the key before '=' has an empty part", hint="--set environment.name=digits")
    return _joined(parts), _read(text, place)


def _read(text: str, place: Place) -> Value:
    try:
        value = parse_document(text, source=place.source, has_lines=False)
    except ConfigError as error:
        if not error.hint:
            raise
        raise ConfigError(
            error.message.removeprefix(f"{place.source}: "),
            source=place.source,
            hint="the value is read as YAML: put quotes inside the shell's quotes, --set 'key=\"value\"'",
        ) from None
    return value if value is not None else Scalar(text="", kind=Kind.NOTHING, place=place)


def _joined(parts: tuple[str, ...]) -> tuple[str, ...]:
    """`tags.a.b` sets the tag `a.b`: below a free mapping the rest is one key."""
    folded = tuple(to_snake(part) for part in parts)
    for free in _FREE:
        if folded[: len(free)] == free and len(parts) > len(free):
            return (*parts[: len(free)], ".".join(parts[len(free) :]))
    return parts


def _with_value(tree: MapValue, path: tuple[str, ...], above: tuple[str, ...], value: Value, place: Place) -> MapValue:
    key, rest = path[0], path[1:]
    is_free = tuple(to_snake(part) for part in above) in _FREE
    old = next((entry for entry in tree if _name(entry.key, above, is_free) == _name(key, above, is_free)), None)
    if rest:
        value = _with_value(_below(old, (*above, key), place), rest, (*above, key), value, place)
    new = Entry(key=old.key if old else key, place=place if not rest or old is None else old.place, value=value)
    if old is None:
        return MapValue(entries=(*tree.entries, new), place=tree.place)
    return MapValue(entries=tuple(new if entry is old else entry for entry in tree), place=tree.place)


def _name(key: str, above: tuple[str, ...], is_free: bool) -> str:
    if is_free:
        return key
    snake = to_snake(key)
    return SAME_KEY.get(snake, snake) if not above else snake


def _below(old: Entry | None, path: tuple[str, ...], place: Place) -> MapValue:
    if old is None or is_nothing(old.value):
        return MapValue(entries=(), place=place)
    if isinstance(old.value, MapValue):
        return old.value
    raise place.error(
        f"'{'.'.join(path)}' is {old.value.found} at {old.value.place}, not a mapping",
        hint=f"set it as a whole: --set '{'.'.join(path)}={{...}}'",
    )
