"""Classes of v1 of which the runner has a part: any other name of theirs ends in one clear error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, NoReturn

_NOTHING = "nothing in the runner stands behind it"
PIPELINES = "the runner runs scripts, not pipelines"
DEPLOYMENT = "the runner trains models and does not deploy them"


class Partial:
    """Says of an attribute that there is not which it is, and why; `hasattr` is False for it as ever."""

    # The names of v1 about which more can be said than that there is nothing.
    _elsewhere: ClassVar[Mapping[str, str]] = {}

    if not TYPE_CHECKING:  # Types are checked by the names that there are.

        def __getattr__(self, name: str) -> NoReturn:
            """Asked for what is nowhere else."""
            if name.startswith("_"):  # Python itself asks, or our own code has a mistake in it.
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            why = self._elsewhere.get(name, _NOTHING)
            raise AttributeError(f"{type(self).__name__}.{name} is not provided by scriptrun: {why}")
