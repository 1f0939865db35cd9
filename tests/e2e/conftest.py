"""A fresh folder and workspace for every test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doubles.command import Command


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """The `runner` command in a folder of its own."""
    return Command(tmp_path)
