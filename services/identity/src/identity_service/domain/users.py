"""Users: their data, and what they may do."""

from dataclasses import dataclass, field
from datetime import datetime

from identity_service.domain.emails import EmailAddress
from identity_service.domain.roles import RoleName
from identity_service.domain.usernames import Username


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user. ``id`` is the subject of tokens and is never given twice."""

    id: int
    username: str
    username_key: str
    email: str
    email_key: str
    password_hash: str = field(repr=False)
    password_is_temporary: bool
    password_changed_at: datetime
    roles: tuple[RoleName, ...]
    """In the order in which the roles were made."""
    disabled_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @property
    def effective_roles(self) -> tuple[RoleName, ...]:
        """The roles it may use: none before a temporary password is changed."""
        return () if self.password_is_temporary else self.roles

    def still_admits(self, verified: "User") -> bool:
        """Return whether a password that was right for ``verified`` still is, here."""
        return (
            self.disabled_at is None
            and self.password_changed_at == verified.password_changed_at
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """A user that has yet to get its row."""

    username: Username
    email: EmailAddress
    password_hash: str = field(repr=False)
    roles: frozenset[RoleName]
    created_at: datetime
    password_is_temporary: bool = False
    id: int | None = None
    """Set only where users are brought from elsewhere with their ids."""
