"""What is known of a user."""

from dataclasses import dataclass, field
from datetime import datetime

from identity_service.domain.roles import RoleName
from identity_service.domain.users import EmailAddress, Username


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user's account. ``id`` is the subject of tokens and is never given twice."""

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

    def still_admits(self, verified: "Account") -> bool:
        """Tell whether a password that was right for ``verified`` still is, here."""
        return (
            self.disabled_at is None
            and self.password_changed_at == verified.password_changed_at
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccount:
    """An account that has yet to get its row."""

    username: Username
    email: EmailAddress
    password_hash: str = field(repr=False)
    roles: frozenset[RoleName]
    created_at: datetime
    password_is_temporary: bool = False
    id: int | None = None
    """Set only where accounts are brought from elsewhere with their ids."""
