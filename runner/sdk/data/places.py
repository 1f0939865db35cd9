"""Where data lie: a path of this machine, or an address that fsspec opens (`https://`, `s3://`, `abfs://`, ...)."""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runner.errors import MachineError
from runner.sdk.exceptions import UserErrorException
from runner.store import addresses
from runner.store.addresses import is_url as is_url
from runner.store.assets import AssetsLayout

_PATTERN = frozenset("*?[")


def local_path(place: str) -> str:
    """The absolute path of a place of this machine."""
    return os.path.abspath(os.path.expanduser(place[7:] if place.startswith("file://") else place))


def has_pattern(place: str) -> bool:
    """Whether the place stands for every file that fits it."""
    return not _PATTERN.isdisjoint(place.partition("?")[0] if is_url(place) else place)


def join(place: str, *parts: str) -> str:
    """The place below a place; a part that begins with `/` is below it all the same."""
    tail = "/".join(part.strip("/") for part in parts if part.strip("/"))
    return f"{place.rstrip('/')}/{tail}" if tail else place


def check(place: str) -> None:
    """Raises UserErrorException where there is nothing at a place of this machine; addresses are not asked."""
    if is_url(place):
        return
    path = local_path(place)
    if not (glob.glob(path, recursive=True) if has_pattern(path) else os.path.exists(path)):
        raise UserErrorException(f"There are no files at {path}.")


def local_files(places: Sequence[str], assets: AssetsLayout) -> list[tuple[str, str]]:
    """(name, path on this machine) of every file at the places, sorted; what is elsewhere is fetched once.

    The name is relative to the folder that was given, or to the part of a pattern before its first wildcard.
    """
    found: dict[str, str] = {}
    for place in places:
        path = fetched(place, assets) if is_url(place) else local_path(place)
        for name, file in _expand(path, is_pattern=not is_url(place) and has_pattern(path)):
            found.setdefault(name, file)
    return sorted(found.items())


def _expand(path: str, *, is_pattern: bool) -> list[tuple[str, str]]:
    if not is_pattern:
        if os.path.isfile(path):
            return [(os.path.basename(path), path)]
        base, matches = path, [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names]
    else:
        base = path
        while has_pattern(base):
            base = os.path.dirname(base)
        matches = glob.glob(path, recursive=True)
    return [(os.path.relpath(match, base), match) for match in matches if os.path.isfile(match)]


def fetched(url: str, assets: AssetsLayout) -> str:
    """The path of what is at an address, fetched once for the workspace; it shows whole or not at all.

    Raises UserErrorException where fsspec, or what it needs for such an address, is not installed, or it fails.
    """
    key = hashlib.sha256(url.encode()).hexdigest()[:32]
    place = assets.downloads / key
    if not place.is_dir():
        unfinished = assets.downloads / f".new-{key}-{os.getpid()}"
        unfinished.mkdir(parents=True, mode=0o700)
        try:
            _fetch(url, unfinished)
            if not place.is_dir():
                os.rename(unfinished, place)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    names = os.listdir(place)
    return str(place / names[0]) if len(names) == 1 and not has_pattern(url) else str(place)


def _fetch(url: str, folder: Path) -> None:
    fsspec = _fsspec(url)
    try:
        system, path = fsspec.core.url_to_fs(url)
        if has_pattern(url):
            system.get(path, f"{folder}/", recursive=True)
        elif system.isdir(path):
            system.get(path.rstrip("/") + "/", str(folder / os.path.basename(path.rstrip("/"))), recursive=True)
        else:
            system.get_file(path, str(folder / os.path.basename(path.split("?")[0].rstrip("/"))))
    except ImportError as error:
        raise UserErrorException(f"{url} cannot be read: {error}. Install what fsspec needs for it.", error) from error
    except (OSError, ValueError) as error:
        raise UserErrorException(f"{url} cannot be read: {error}", error) from error


def send(source: str, url: str, *, overwrite: bool) -> None:
    """Copies a file of this machine to an address. Raises UserErrorException."""
    try:
        addresses.send(source, url, overwrite=overwrite)
    except MachineError as error:
        raise UserErrorException(error.message, error) from error


def _fsspec(url: str) -> Any:
    try:
        return addresses.open_fsspec(url)
    except MachineError as error:
        raise UserErrorException(error.message, error) from error
