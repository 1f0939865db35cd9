"""Every test of the lab may have one."""

from tests.lab.fixtures import lab, lab_of

__all__ = ["lab", "lab_of"]
