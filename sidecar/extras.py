"""Makes psutil and watchdog importable: the ones that were shipped with the sidecar, else the ones installed here.

The sidecar starts without site-packages, which is faster; who needs one of the two asks for it first, and goes on
without it where the import fails.
"""

from __future__ import annotations

import site
import sys
from pathlib import Path

from sidecar.contract.stores import BundleContents


def make_importable() -> None:
    """Puts the folder that holds psutil and watchdog on the module path; a second call changes nothing."""
    shipped = BundleContents(Path(__file__).parents[1]).site
    if not shipped.is_dir():
        site.main()
    elif str(shipped) not in sys.path:
        sys.path.append(str(shipped))
