"""How whatever belongs to a run is labelled on an engine, whichever side made it."""

from __future__ import annotations

import enum

_PREFIX = "io.scriptrun."
RUN = _PREFIX + "run"
NODE = _PREFIX + "node"
ROLE = _PREFIX + "role"
WORKSPACE = _PREFIX + "workspace"
# On images: the hash of everything that went in, and the name that the config gave the environment.
KEY = _PREFIX + "key"
ENVIRONMENT = _PREFIX + "environment"
# Images that were shipped to a node, each under the hash of its id. Without a host Podman asks a registry for it.
SHIPPED = "localhost/scriptrun/shipped"


class Role(str, enum.Enum):
    """What a container is for."""

    JOB = "job"
    SIDECAR = "sidecar"
    BUILD = "build"


def shipped_name(image_id: str) -> str:
    """What the image with this id is called on a node that it was shipped to."""
    return f"{SHIPPED}:{image_id.rpartition(':')[2]}"
