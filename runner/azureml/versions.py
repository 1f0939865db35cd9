"""What v1 says of itself; scripts print it."""

from __future__ import annotations

VERSION = "1.61.0"
