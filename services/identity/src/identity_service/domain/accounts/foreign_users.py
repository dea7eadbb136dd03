"""Users of other systems, on their way into ours."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignUser:
    """A user as another system has it; nothing of it has been checked."""

    id: int | None = None
    """Theirs, None if they get one of ours."""
    username: str | None
    email: str | None
    password_hash: str | None = field(repr=False)
    password_is_temporary: bool = False
    created_at: datetime | None
    """When they signed up, if that is known."""
    email_verified_at: datetime | None = None
    deletion_due_at: datetime | None = None
    """When they want to be deleted, if they do."""
    is_disabled: bool = False
    roles: Iterable[str]


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
