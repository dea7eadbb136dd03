"""Users of other systems, on their way into ours."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime


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
