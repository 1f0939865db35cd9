"""Says whether a path, once every link on its way is followed, lies in a folder."""

from __future__ import annotations

import os


def is_inside(path: str, folder: str) -> bool:
    """Whether `path`, once resolved, lies in `folder` (or is it)."""
    real, real_folder = os.path.realpath(path), os.path.realpath(folder)
    return real == real_folder or real.startswith(real_folder.rstrip(os.sep) + os.sep)
