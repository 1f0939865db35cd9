"""Makes packages of the in-job code importable here: they are shipped to nodes as a folder of their own."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from sidecar import contract


def find(*packages: str) -> None:
    """Lets `packages` be imported from their own folders, unless they can be already; sys.path stays as it is."""
    for package in packages:
        if package in sys.modules or importlib.util.find_spec(package) is not None:
            continue
        folder = Path(contract.__file__).parents[1] / "injob" / "site" / package
        spec = importlib.util.spec_from_file_location(
            package, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        assert spec is not None and spec.loader is not None, "the in-job packages lie beside the contract"
        module = importlib.util.module_from_spec(spec)
        sys.modules[package] = module
        spec.loader.exec_module(module)
