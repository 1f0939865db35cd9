"""What every part of a configuration object has in common: it can be changed, but not by a misspelt name."""

from __future__ import annotations

from typing import TYPE_CHECKING


class Element:
    """Refuses an attribute that its class does not declare; else a typing error would silently change nothing."""

    if not TYPE_CHECKING:  # The type checker takes a class that has this method for one that takes every name.

        def __setattr__(self, name: str, value: object) -> None:
            if not name.startswith("_") and not _is_declared(type(self), name):
                raise AttributeError(_refusal(type(self), name))
            object.__setattr__(self, name, value)


def _is_declared(owner: type, name: str) -> bool:
    return hasattr(owner, name) or name in _declared(owner)


def _declared(owner: type) -> list[str]:
    return [name for base in owner.__mro__ for name in getattr(base, "__annotations__", ()) if name[0] != "_"]


def _refusal(owner: type, name: str) -> str:
    from difflib import get_close_matches  # only on the way out with an error

    names = _declared(owner)
    near = get_close_matches(name, names, n=1)
    meant = f"; did you mean {near[0]!r}?" if near else f"; it has {', '.join(sorted(names))}"
    return f"{owner.__name__!r} object has no attribute {name!r}{meant}"
