"""Says whether a wheel made for `cp311-cp311-manylinux_2_17_x86_64` runs on a given node, without asking pip."""

from __future__ import annotations

import re
from dataclasses import dataclass

# The names that came before manylinux_<glibc>: PEP 513, 571, 599.
_OLD_MANYLINUX = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
_MANYLINUX = re.compile(r"manylinux_(\d+)_(\d+)_(.+)")
_OLD = re.compile(r"(manylinux(?:1|2010|2014))_(.+)")
_PYTHON = re.compile(r"(cp|py)(\d)(\d*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePython:
    """What decides which wheels fit a node. `glibc` is None where the node has another C library (musl)."""

    version: tuple[int, int]
    machine: str
    glibc: tuple[int, int] | None
    is_plain_cpython: bool = True

    def __str__(self) -> str:
        libc = "another C library than glibc" if self.glibc is None else f"glibc {self.glibc[0]}.{self.glibc[1]}"
        kind = "Python" if self.is_plain_cpython else "a special Python"
        return f"{kind} {self.version[0]}.{self.version[1]} on {self.machine} with {libc}"


def fits(tag: str, node: NodePython) -> bool:
    """Whether a wheel with this tag (`python-abi-platform`, each perhaps several joined by dots) runs on the node."""
    parts = tag.strip().split("-")
    if len(parts) != 3:
        return False
    pythons, abis, platforms = (part.split(".") for part in parts)
    return any(_fits_platform(platform, node) for platform in platforms) and any(
        _fits_python(python, abi, node) for python in pythons for abi in abis
    )


def _fits_python(python: str, abi: str, node: NodePython) -> bool:
    found = _PYTHON.fullmatch(python)
    if found is None or int(found[2]) != node.version[0]:
        return False
    minor = int(found[3] or 0)
    if abi == "none":
        return minor <= node.version[1] if found[1] == "py" else minor == node.version[1]
    if not node.is_plain_cpython or found[1] != "cp":
        return False
    return minor <= node.version[1] if abi == "abi3" else minor == node.version[1] and abi == python


def _fits_platform(platform: str, node: NodePython) -> bool:
    if platform == "any":
        return True
    new, old = _MANYLINUX.fullmatch(platform), _OLD.fullmatch(platform)
    if new is not None:
        needed, machine = (int(new[1]), int(new[2])), new[3]
    elif old is not None:
        needed, machine = _OLD_MANYLINUX[old[1]], old[2]
    else:
        return False  # `linux_x86_64` was built for one machine: nothing says which C library it needs.
    return node.glibc is not None and needed <= node.glibc and machine == node.machine
