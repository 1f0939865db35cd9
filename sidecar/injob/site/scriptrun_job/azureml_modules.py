"""Makes the modules `azureml...` of the catalogue when they are imported; nothing is loaded before it is used.

A name that a job cannot have can be imported, since scripts import more than they use. Using it raises one error that
says which name it is and why.
"""

from __future__ import annotations

import sys

from scriptrun_job.catalog import ELSEWHERE, PROVIDED, is_module, why_not
from scriptrun_job.errors import NotProvidedError, not_provided

TYPE_CHECKING = False  # `typing` would cost every process more than the rest of this package.
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, Callable, NoReturn


class _Absent(type):
    """The class of what a job cannot have: calling it, or asking it for anything, raises NotProvidedError."""

    _name: str
    _why: str

    def __call__(cls, *_arguments: Any, **_named: Any) -> NoReturn:
        raise NotProvidedError(not_provided(cls._name, cls._why))

    def __getattr__(cls, name: str) -> NoReturn:
        if name.startswith("__"):  # Python itself, or a debugger, asks.
            raise AttributeError(name)
        raise NotProvidedError(not_provided(f"{cls._name}.{name}", cls._why))

    def __repr__(cls) -> str:
        return f"<{not_provided(cls._name, cls._why)}>"


class _Finder:
    """Finds modules of the catalogue. It is asked last, so what a person installed or wrote goes first."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> Any:
        """The module's specification. Raises ModuleNotFoundError for any other name below `azureml`."""
        if not name.startswith("azureml."):
            return None
        if not is_module(name):
            # With its `name`, `from ... import` would drop the text.
            raise ModuleNotFoundError(not_provided(name, "no such name of Azure ML v1 is known here"))
        from importlib.machinery import ModuleSpec

        return ModuleSpec(name, _Loader(), is_package=True)  # type: ignore[arg-type]


class _Loader:
    """Fills a module with a function that looks its names up."""

    @staticmethod
    def create_module(spec: Any) -> None:
        """Python makes the module."""

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        """Gives the module its names, each loaded when it is asked for."""
        module.__doc__ = f"`{module.__name__}` of Azure ML v1, as far as a job has it."
        module.__getattr__ = attributes_of(module.__name__)  # type: ignore[method-assign]
        elsewhere = " ".join(names for _, names in ELSEWHERE.get(module.__name__, ())).split()
        public = [name for name in PROVIDED.get(module.__name__, {}) if not name.startswith("_")]
        module.__all__ = [*public, *elsewhere]  # type: ignore[attr-defined]


def attributes_of(module: str) -> Callable[[str], Any]:
    """The function that finds the names of `module`."""

    def find(name: str) -> Any:
        place = PROVIDED.get(module, {}).get(name)
        if place is not None:
            from importlib import import_module

            source, _, attribute = place.partition(":")
            value = getattr(import_module(source), attribute)
        elif name.startswith("__"):
            raise AttributeError(name)
        elif why_not(module, name):
            value = _Absent(name, (), {"_name": f"{module}.{name}", "_why": why_not(module, name)})
        else:
            raise AttributeError(not_provided(f"{module}.{name}", "no such name of Azure ML v1 is known here"))
        setattr(sys.modules[module], name, value)
        return value

    return find


def install() -> None:
    """Makes the modules importable; once is enough."""
    if _Finder not in sys.meta_path:
        sys.meta_path.append(_Finder)
