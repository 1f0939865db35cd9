"""Hosts for tests: `from tests.lab.fixtures import lab` in a conftest, then

    @pytest.mark.lab(hosts=4)
    def test_something(lab: Laboratory) -> None: ...

`hosts` is a number (2 if left out) or a list of HostOptions; `options` is what all hosts of a number have in common.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests.lab.laboratory import Laboratory


@pytest.fixture
def lab_of() -> Iterator[Callable[..., Laboratory]]:
    """Starts labs with the arguments of Laboratory.start, for tests that cannot say them in a mark."""
    with contextlib.ExitStack() as stack:
        yield lambda *arguments: stack.enter_context(Laboratory.start(*arguments))


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[Laboratory]:
    """A lab of its own for one test, as its mark `lab` says; a plain host takes a tenth of a second."""
    mark = request.node.get_closest_marker("lab")
    wishes = dict(mark.kwargs) if mark else {}
    with Laboratory.start(wishes.get("hosts", 2), wishes.get("options")) as made:
        yield made
