"""A moment as a person reads it: the time in UTC, and how long ago that is."""

from __future__ import annotations

from datetime import datetime


def utc_and_ago(at: datetime, now: datetime) -> str:
    """`2026-11-21 08:40:01 UTC (35 s ago)`; both times are aware."""
    seconds = max(0, int((now - at).total_seconds()))
    return f"{at:%Y-%m-%d %H:%M:%S} UTC ({ago(seconds)} ago)"


def milliseconds(text: str | None) -> int | None:
    """A time of a run record as milliseconds since 1970; None where it is none."""
    try:
        return None if text is None else int(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError:
        return None


def ago(seconds: int) -> str:
    """`35 s`, `12 min`, `3 h`, `2 d`: the largest unit of which there are two."""
    for unit_s, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit_s:
            return f"{seconds // unit_s} {name}"
    return f"{seconds} s"
