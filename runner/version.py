"""The version of this program; the package's metadata says the same, which a test holds."""

from __future__ import annotations

VERSION = "0.1.0"
