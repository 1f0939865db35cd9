"""What the engine's own builder makes on the way to an image: an engine that is killed over a step leaves it behind.

Such a container has no label yet, and such a layer no name: whoever comes next finds them by what was written down.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sidecar.contract import publish
from sidecar.contract.stores import EnvironmentsLayout

if TYPE_CHECKING:
    from docker import APIClient

_CONTAINER, _LAYER = "container", "layer"


class BuildSteps:
    """The steps of one build on the engine at `address`, in the file `path` until they are no more."""

    def __init__(self, path: Path, address: str) -> None:
        self.path = path
        self._address = address

    def note_container(self, container: str) -> None:
        """A step began in this container."""
        self._note(_CONTAINER, container)

    def note_layer(self, layer: str) -> None:
        """A step ended with this layer."""
        self._note(_LAYER, layer)

    def _note(self, kind: str, found: str) -> None:
        publish.append_line(self.path, json.dumps([self._address, kind, found]).encode())

    def forget(self) -> None:
        """The build is complete: what it made belongs to the image."""
        self.path.unlink(missing_ok=True)

    def clear(self, client: APIClient) -> list[str]:
        """Removes what is left of a build that failed; the names of containers. Nothing where the engine is away."""
        import requests

        removed = []
        try:
            noted = [(kind, found) for address, kind, found in self._read() if address == self._address]
            for kind, found in noted:
                if kind == _CONTAINER:
                    removed += _remove_container(client, found)
            layers = [found for kind, found in noted if kind == _LAYER]
            if layers:
                # The layers below it go with it.
                _remove_layer(client, layers[-1])
        except requests.RequestException:
            return removed  # The file stays: the next one tries again.
        self.forget()
        return removed

    def _read(self) -> Iterator[tuple[str, str, str]]:
        try:
            lines = self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return
        for line in lines:
            try:
                address, kind, found = json.loads(line)
            except ValueError:
                continue  # Its writer was killed over it.
            yield str(address), str(kind), str(found)


def sweep(client: APIClient, address: str, layout: EnvironmentsLayout) -> Iterator[str]:
    """Removes what builds have left that nobody works on any more; yields the names of containers."""
    for path in sorted(layout.images.glob("*.steps")) if layout.images.is_dir() else ():
        descriptor = os.open(layout.image_lock(path.stem), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield from BuildSteps(path, address).clear(client)
        except BlockingIOError:
            continue  # It is being built at this moment.
        finally:
            os.close(descriptor)


def _remove_container(client: APIClient, container: str) -> list[str]:
    from docker.errors import APIError

    try:
        name = str(client.inspect_container(container)["Name"]).lstrip("/")
        client.remove_container(container, force=True, v=True)
    except APIError:
        return []  # The engine has removed it itself, or does so now.
    return [name]


def _remove_layer(client: APIClient, layer: str) -> None:
    """Removes an image without a name, which nobody would find again."""
    from docker.errors import APIError

    try:
        found: Any = client.inspect_image(layer)  # type: ignore[no-untyped-call]  # its stubs
        if not found.get("RepoTags"):
            client.remove_image(layer)
    except APIError:
        pass  # Used by another image, or gone already: then it is not ours to remove.
