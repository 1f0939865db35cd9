"""Azure ML Workbench's older `.runconfig` (2017): TitleCase keys, put into today's (azureml-v1.md 5.3)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from runner.spec.document import read_document
from runner.spec.tree import Entry, Kind, ListValue, MapValue, Place, Scalar, Value, is_nothing

FILE = "$file"

_SAME = {
    "Framework": ("framework",),
    "EnvironmentVariables": ("environment_variables",),
    "CondaDependenciesFile": ("environment", "python", "conda_dependencies_file"),
    "CondaFile": ("environment", "python", "conda_dependencies_file"),
    "Target": ("compute_target",),
}
_UNUSED = frozenset(
    (
        "Description",
        "PrepareEnvironment",
        "TrackedRun",
        "SparkDependenciesFile",
        "ManagedEnvironment",
        "UseSampling",
        "DataSourceSettings",
        "DataSourceSubstitutions",
    )
)
_HERE = ("local", "localdocker", "docker")
_DOCKER = ("localdocker", "docker", "remotedocker")


def is_workbench(tree: MapValue) -> bool:
    """Whether `tree` is written in the keys of Workbench."""
    return any(entry.key in _SAME or entry.key in _UNUSED or entry.key == "ArgumentVector" for entry in tree)


def modernized(tree: MapValue, folder: Path) -> MapValue:
    """`tree` in today's keys; `<Target>.compute` is read from `folder` where it is there.

    `ArgumentVector` begins with the script; where that is `$file`, the command line names it and none is set.
    Raises ConfigError for a kind of target that is gone.
    """
    result = MapValue(entries=(), place=tree.place)
    for entry in tree:
        if entry.key == "ArgumentVector":
            result = _with_arguments(result, entry)
        elif entry.key == "Target":
            result = _with_target(result, entry, folder)
        elif entry.key in _SAME:
            result = _put(result, _SAME[entry.key], entry)
        elif entry.key not in _UNUSED:
            result = MapValue(entries=(*result.entries, entry), place=result.place)
    return result


def _with_arguments(tree: MapValue, entry: Entry) -> MapValue:
    if not isinstance(entry.value, ListValue):
        return _put(tree, ("arguments",), entry)  # refused where arguments are read
    first, rest = entry.value.items[:1], entry.value.items[1:]
    if first and not (isinstance(first[0], Scalar) and first[0].text == FILE):
        tree = _put(tree, ("script",), Entry(key=entry.key, place=first[0].place, value=first[0]))
    arguments = Entry(key=entry.key, place=entry.place, value=ListValue(items=rest, place=entry.value.place))
    return _put(tree, ("arguments",), arguments)


def _with_target(tree: MapValue, entry: Entry, folder: Path) -> MapValue:
    path = folder / f"{entry.value.text}.compute" if isinstance(entry.value, Scalar) else folder
    if is_nothing(entry.value) or not path.is_file():
        return _put(tree, ("compute_target",), entry)
    compute = read_document(path)
    fields = {old.key: old.value for old in compute}
    kind = fields.get("type")
    name = kind.text if isinstance(kind, Scalar) else ""
    place = kind.place if kind is not None else compute.place
    if name in _DOCKER:
        tree = _put(tree, ("docker", "use_docker"), _entry("use_docker", "true", Kind.BOOLEAN, place))
    image = fields.get("baseDockerImage")
    if image is not None and name in _DOCKER:
        base = Entry(key="base_image", place=image.place, value=image)
        tree = _put(tree, ("environment", "docker", "base_image"), base)
    if name in _HERE:
        return _put(tree, ("compute_target",), _entry("compute_target", "local", Kind.TEXT, place))
    if name in ("remote", "remotedocker"):
        return _put(tree, ("compute_target",), _remote(fields, place))
    raise place.error(f"targets of type '{name}' are gone", hint="compute_target: local, or a target of type ssh")


def _remote(fields: Mapping[str, Value], place: Place) -> Entry:
    entries = [_entry("type", "ssh", Kind.TEXT, place)]
    address, username = fields.get("address"), fields.get("username")
    if address is not None:
        nodes = ListValue(items=(address,), place=address.place)
        entries.append(Entry(key="nodes", place=address.place, value=nodes))
    if username is not None:
        entries.append(Entry(key="username", place=username.place, value=username))
    target = MapValue(entries=tuple(entries), place=place)
    return Entry(key="compute_target", place=place, value=target)


def _entry(key: str, text: str, kind: Kind, place: Place) -> Entry:
    return Entry(key=key, place=place, value=Scalar(text=text, kind=kind, place=place))


def _put(tree: MapValue, path: tuple[str, ...], entry: Entry) -> MapValue:
    """`tree` with the value of `entry` under `path`."""
    key, rest = path[0], path[1:]
    value: Value = entry.value
    if rest:
        below = tree.get(key)
        value = _put(below if isinstance(below, MapValue) else MapValue(entries=(), place=entry.place), rest, entry)
    new = Entry(key=key, place=entry.place, value=value)
    return MapValue(entries=(*(old for old in tree if old.key != key), new), place=tree.place)
