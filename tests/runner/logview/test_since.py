from datetime import datetime, timedelta, timezone

import pytest

from runner.errors import UsageError
from runner.logview.since import parse_since

NOW = datetime(2026, 11, 20, 22, 30, tzinfo=timezone(timedelta(hours=1)))
SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "ago_s"),
    [("10m", 600), ("2h", 7200), ("1h30m", 5400), ("90s", 90), ("1.5s", 1.5), ("1d", 86400), ("1w", 604800)],
)
def test_a_while_ago(text: str, ago_s: float) -> None:
    """A duration counts back from now."""
    assert parse_since(text, now=NOW) == int((NOW.timestamp() - ago_s) * SECOND)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20T21:30:00Z",
        "2026-11-20T22:30:00",
        "2026-11-20 22:30",
        "2026-11-20T23:30:00+02:00",
        "2026-11-20T21:30:00.000000000Z",
    ],
)
def test_a_time(text: str) -> None:
    """A time with a zone is that time; without one it is a time here."""
    assert parse_since(text, now=NOW) == int(NOW.timestamp()) * SECOND


def test_fraction_is_taken() -> None:
    """A fraction of any length is understood."""
    assert parse_since("2026-11-20T21:30:00.5Z", now=NOW) == int(NOW.timestamp()) * SECOND + SECOND // 2


@pytest.mark.parametrize("text", ["", "ten", "10", "10x", "m", "-5m", "2026-13-01", "9" * 400 + "d"])
def test_nonsense_is_refused(text: str) -> None:
    """What is no time is an error that shows examples."""
    with pytest.raises(UsageError, match="is no time"):
        parse_since(text, now=NOW)
