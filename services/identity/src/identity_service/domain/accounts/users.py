"""Users: their data, and what they may do."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from identity_service.domain.accounts.emails import EmailAddress
from identity_service.domain.accounts.roles import RoleName
from identity_service.domain.accounts.usernames import InvalidUsernameError, Username
from identity_service.domain.fields import InvalidFieldError
from identity_service.domain.sessions.authentication import Authentication

_SUBJECT_SIZE: Final = 16
"""Random bytes, so that no subject is reused, even after a restore."""


def refuse_foreign_address(username: Username, email: EmailAddress) -> None:
    """Raise `InvalidUsernameError` for a name that is another e-mail address.

    Users sign in by either, so the owner of an address must not find it taken.
    """
    try:
        named = EmailAddress.parse(username.text)
    except InvalidFieldError:
        return
    if named.key != email.key:
        raise InvalidUsernameError(
            "username_is_address",
            "A user name cannot be somebody else's e-mail address.",
        )


def new_subject() -> str:
    """Return a name for tokens that no user has had or will have."""
    return secrets.token_urlsafe(_SUBJECT_SIZE)


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user."""

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
    subject: str | None
    """What tokens call the user; None until the first, in rows of older versions."""
    email_verified_at: datetime | None
    """When the user has shown that this address is theirs; None if never."""
    deletion_due_at: datetime | None
    """When the account is deleted unless its owner signs in; None if it stays."""

    @property
    def name(self) -> Username:
        """The name, with the key that it is compared by."""
        return Username(self.username, self.username_key)

    @property
    def email_address(self) -> EmailAddress:
        """The e-mail address, with the key that it is compared by."""
        return EmailAddress(self.email, self.email_key)

    @property
    def name_in_mail(self) -> str:
        """What mails call the user: their name, once the address is known as theirs.

        Until then both may be a stranger's choice, and the name a text that they want
        the address's owner to read.
        """
        return self.email if self.email_verified_at is None else self.username

    def usable_roles(
        self, authentication: Authentication, guarded: frozenset[RoleName]
    ) -> tuple[RoleName, ...]:
        """Return the roles it may use, having proved who it is like this.

        None before a temporary password is changed, and ``guarded`` ones after a
        sign-in with two factors only.
        """
        if self.password_is_temporary:
            return ()
        if authentication.factors > 1:
            return self.roles
        return tuple(role for role in self.roles if role not in guarded)

    def is_due_for_deletion(self, now: datetime) -> bool:
        """Return whether its owner wanted it deleted by now."""
        return self.deletion_due_at is not None and self.deletion_due_at <= now

    def still_admits(self, verified: "User") -> bool:
        """Return whether a password that was right for ``verified`` still is, here."""
        return (
            self.disabled_at is None
            and self.password_changed_at == verified.password_changed_at
        )


class AdminOutcome(StrEnum):
    """What became of a wish to have an administrator with a certain password."""

    CREATED = "is an administrator now"
    UNCHANGED = "is an administrator already, with this password"
    OTHER_PASSWORD = "is an administrator already, with another password"  # noqa: S105 - no password


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """A user that has yet to get its row."""

    username: Username
    email: EmailAddress
    password_hash: str = field(repr=False)
    roles: frozenset[RoleName]
    created_at: datetime
    password_is_temporary: bool = False
    subject: str = field(default_factory=new_subject)
    email_verified_at: datetime | None = None
    disabled_at: datetime | None = None
    deletion_due_at: datetime | None = None
    id: int | None = None
    """Set only where users are brought from elsewhere with their ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingSignUp:
    """A sign-up whose address has yet to be verified."""

    id: str
    """16 random bytes in hex: the id of the token that verifies it."""
    digest: bytes = field(repr=False)
    user: NewUser
    expires_at: datetime
