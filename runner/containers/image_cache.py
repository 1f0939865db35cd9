"""The images that were made for jobs: which there are, and which of them nobody needs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from runner.containers import labels
from runner.containers.engine import explained

if TYPE_CHECKING:
    from docker import APIClient


def list_images(client: APIClient, address: str) -> Iterator[dict[str, Any]]:
    """One record an image: kind, key, name, size_bytes, created_utc, is_used, id."""
    with explained("the images cannot be listed", address):
        used = {str(found["ImageID"]) for found in client.containers(all=True)}
        for found in client.images(filters={"label": labels.KEY}):
            yield _record(found, is_used=found["Id"] in used)


def _record(found: Mapping[str, Any], *, is_used: bool) -> dict[str, Any]:
    told = found.get("Labels") or {}
    return {
        "kind": "image",
        "key": str(told.get(labels.KEY, "")),
        "name": str(told.get(labels.ENVIRONMENT, "")),
        "size_bytes": int(found["Size"]),
        "created_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(found["Created"]))),
        "is_used": is_used,
        "id": str(found["Id"]),
    }


def remove_image(client: APIClient, address: str, record: Mapping[str, Any]) -> None:
    """Removes one, with the layers that nothing else has. Raises MachineError."""
    from docker.errors import ImageNotFound

    with explained(f"the image {record['key'][:12]} stays", address), contextlib.suppress(ImageNotFound):
        client.remove_image(record["id"], force=True)


def has_image(client: APIClient, address: str, image: str) -> bool:
    """Whether the engine has the image with this id. Raises MachineError."""
    from docker.errors import ImageNotFound

    with explained("the image cannot be looked for", address):
        try:
            client.inspect_image(image)  # type: ignore[no-untyped-call]  # its stubs
        except ImageNotFound:
            return False
    return True
