"""Where the picture of `log_image` comes from: a file, or anything that can save a figure."""

from __future__ import annotations

import os
import time

from scriptrun_job.errors import UserErrorException

TYPE_CHECKING = False  # `typing` would cost every process more than the rest of this package.
if TYPE_CHECKING:
    from typing import Any, Optional, Tuple


def file_and_source(name: str, path: Optional[str], plot: Any) -> Tuple[str, Any]:
    """(name of the run's file, file or stream to copy): a path keeps its name, a figure is `<name>_<epoch>.png`.

    Raises UserErrorException for a path without a file, and for what cannot save a figure.
    """
    if path is not None:
        if not os.path.isfile(path):
            raise UserErrorException(f"File path doesn't exist: {path}")
        inside = os.path.normpath(path)
        leaves = os.path.isabs(inside) or inside.split(os.sep)[0] == ".."
        return (os.path.basename(inside) if leaves else inside), path
    if not callable(getattr(plot, "savefig", None)):
        raise UserErrorException(f"Invalid plot: {type(plot).__name__} has no savefig.")
    import io

    picture = io.BytesIO()
    plot.savefig(picture, format="png")
    picture.seek(0)
    return f"{name}_{int(time.time())}.png", picture


def contents(kind: str, path: str) -> Any:
    """What `get_metrics(populate=True)` gives for a file: a picture's bytes, else the object in the JSON."""
    with open(path, "rb") as stream:
        content = stream.read()
    if kind == "image":
        return content
    import json

    return json.loads(content)
