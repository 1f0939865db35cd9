"""Every test of the lab may have one."""

from tests.lab.fixtures import lab

__all__ = ["lab"]
