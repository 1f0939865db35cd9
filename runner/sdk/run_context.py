"""The run that this process belongs to, through the in-job API that every job has (`sidecar/injob/site`)."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

from sidecar import contract

_PACKAGE = "scriptrun_job"


def current_run(*, allow_offline: bool) -> Any:
    """The in-job run object; outside a job one that prints, or an exception where `allow_offline` is false."""
    find_package()
    return importlib.import_module(f"{_PACKAGE}.run").Run.get_context(allow_offline=allow_offline)


def find_package() -> None:
    """Makes the package known by its own folder, unless the job's bootstrap did: sys.path stays as it is."""
    if _PACKAGE in sys.modules or importlib.util.find_spec(_PACKAGE) is not None:
        return
    folder = Path(contract.__file__).parents[1] / "injob" / "site" / _PACKAGE
    spec = importlib.util.spec_from_file_location(
        _PACKAGE, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None and spec.loader is not None, "the in-job package lies beside the contract"
    package = importlib.util.module_from_spec(spec)
    sys.modules[_PACKAGE] = package
    spec.loader.exec_module(package)
