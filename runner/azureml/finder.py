"""Makes the modules `azureml...` when they are imported; nothing is loaded before it is used.

A name that is not provided can be imported where v1 is known to have it, since scripts import more than they use.
Using it raises one error that says which name it is and why.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NoReturn

from runner.azureml.names import PROVIDED, why_not
from runner.sdk.run_context import find_package

_TOP = "azureml"


class _Absent(type):
    """The class of what is not provided: calling it, or asking it for anything, raises NotProvidedError."""

    _place: str
    _why: str

    def __call__(cls, *_: Any, **__: Any) -> NoReturn:
        raise _refusal(cls._place, cls._why)

    def __getattr__(cls, name: str) -> NoReturn:
        if name.startswith("__"):  # Python itself, or a debugger, asks.
            raise AttributeError(name)
        raise _refusal(f"{cls._place}.{name}", cls._why)

    def __repr__(cls) -> str:
        return f"<{cls._place} is not provided: {cls._why}>"


def _refusal(place: str, why: str) -> Exception:
    from runner.sdk.exceptions import NotProvidedError

    return NotProvidedError(f"{place} is not provided by scriptrun: {why}")


class AzuremlFinder(MetaPathFinder):
    """Finds the modules of the table. It is asked last, so what a person installed goes first."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's specification. Raises ModuleNotFoundError for any other name below `azureml`."""
        if not fullname.startswith(f"{_TOP}."):
            return None
        if not is_module(fullname):
            # With its `name`, `from ... import` would drop the text.
            raise ModuleNotFoundError(f"{fullname} is not provided by scriptrun: {why_not(fullname, '')}")
        return ModuleSpec(fullname, _ModuleLoader(), is_package=True)


class _ModuleLoader(Loader):
    def create_module(self, spec: ModuleSpec) -> None:
        """Python makes the module."""

    def exec_module(self, module: ModuleType) -> None:
        """Gives the module a function that looks its names up."""
        module.__doc__ = f"`{module.__name__}` of Azure ML v1, as far as scriptrun has it."
        module.__getattr__ = names_of(module.__name__)  # type: ignore[method-assign]  # PEP 562
        public = [name for name in PROVIDED.get(module.__name__, {}) if name[0] != "_"]
        module.__all__ = [*public, *_known_elsewhere(module.__name__)]  # type: ignore[attr-defined]  # read by import *


def names_of(module: str) -> Callable[[str], Any]:
    """The function that finds the names of `module`, each once."""

    def find(name: str) -> Any:
        place = PROVIDED.get(module, {}).get(name)
        if place is not None:
            source, _, attribute = place.partition(":")
            find_package()  # What an offline run is of lies in the in-job API.
            value = getattr(importlib.import_module(source), attribute or name)
        elif name in _known_elsewhere(module):
            value = _Absent(name, (), {"_place": f"{module}.{name}", "_why": why_not(module, name)})
        elif name.startswith("__"):  # Python itself, or a debugger, asks.
            raise AttributeError(name)
        else:
            raise AttributeError(f"{module}.{name} is not provided by scriptrun: no such name of Azure ML v1 is known")
        setattr(sys.modules[module], name, value)
        return value

    return find


def is_module(name: str) -> bool:
    """Whether v1 has a module of that name, or a folder of modules."""
    catalogue = _catalogue()
    known = (*PROVIDED, *catalogue.PROVIDED, *catalogue.ELSEWHERE)
    return name in known or any(module.startswith(f"{name}.") for module in known)


def _known_elsewhere(module: str) -> list[str]:
    """Names that v1 has in `module` and the table has not."""
    catalogue = _catalogue()
    listed = " ".join(names for _, names in catalogue.ELSEWHERE.get(module, ())).split()
    return [name for name in (*listed, *catalogue.PROVIDED.get(module, ())) if name not in PROVIDED.get(module, {})]


def _catalogue() -> Any:
    find_package()
    return importlib.import_module("scriptrun_job.catalog")


def install() -> None:
    """Makes the modules importable; once is enough."""
    if not any(isinstance(finder, AzuremlFinder) for finder in sys.meta_path):
        sys.meta_path.append(AzuremlFinder())
