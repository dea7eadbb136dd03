"""Clocks, as functions that return the time."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Final

Clock = Callable[[], datetime]
"""Returns the present moment, aware and in UTC."""

utc_now: Final[Clock] = partial(datetime.now, UTC)
"""Returns the present moment. Each request asks, so no function of ours wraps it."""


def rfc3339(moment: datetime) -> str:
    """Return a moment as RFC 3339 spells it, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
