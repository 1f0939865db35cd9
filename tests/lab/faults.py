"""What can happen to hosts and cables; `heal` undoes all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.lab.laboratory import Laboratory


class Faults:
    """The faults of a lab."""

    def __init__(self, lab: Laboratory) -> None:
        self._lab = lab
