"""Reads what a person types for `--since`: `10m`, `2h30m`, or a time."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from runner.errors import UsageError

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_AGO = re.compile(r"(?:\d+(?:\.\d+)?[smhdw])+")
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_FRACTION = re.compile(r"\.(\d+)")


def parse_since(text: str, *, now: datetime) -> int:
    """The wall clock (ns since 1970) that `text` means; `now` is aware, a time without a zone is in its zone.

    Raises UsageError.
    """
    text = text.strip()
    try:
        if _AGO.fullmatch(text):
            ago_s = sum(float(count) * _UNITS_S[unit] for count, unit in _PART.findall(text))
            return _epoch_ns(now - timedelta(seconds=ago_s))
        at = datetime.fromisoformat(_FRACTION.sub(_microseconds, re.sub(r"[zZ]$", "+00:00", text)))
        return _epoch_ns(at if at.tzinfo else at.replace(tzinfo=now.tzinfo))
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"--since {text!r} is no time", hint="10m, 2h30m, 1d, 2026-11-20, 2026-11-20T22:30:00Z"
        ) from error


def _microseconds(found: re.Match[str]) -> str:
    # Python 3.10 takes three or six digits; ours and Go's times have nine.
    return f".{found[1][:6]:0<6}"


def _epoch_ns(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000) * 1000
