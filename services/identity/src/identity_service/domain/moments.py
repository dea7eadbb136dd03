"""Moments that others have written."""

from datetime import UTC, datetime
from typing import Final

_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)
"""Outside of these a moment is a mistake, and no zone or sum brings these out of what
Python can write."""


def read_moment(text: str) -> datetime | None:
    """Return a moment of ISO 8601, in UTC if it names no zone; None if it is none."""
    try:
        found = datetime.fromisoformat(text)
        moment = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return moment if _EARLIEST <= moment < _LATEST else None
