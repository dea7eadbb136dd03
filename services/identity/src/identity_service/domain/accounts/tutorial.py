"""Users of the tutorial's database, on their way into ours."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime

from identity_service.domain.accounts.emails import EmailAddress
from identity_service.domain.accounts.roles import RoleName
from identity_service.domain.accounts.usernames import Username


@dataclass(frozen=True, slots=True)
class TutorialUser:
    """A row of the tutorial's ``users`` with the names of its roles, as found."""

    id: int
    username: str | None
    email: str | None
    password: str | None
    created_at: datetime | None
    roles: AbstractSet[str]


@dataclass(frozen=True, slots=True)
class ImportedUser:
    """A user to be created, with the id and the password hash it had."""

    id: int
    username: Username
    email: EmailAddress
    password_hash: str
    created_at: datetime | None
    """When it signed up, if that is known."""
    roles: frozenset[RoleName]
