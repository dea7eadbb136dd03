"""Tokens and codes that travel by mail and are used once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from identity_service.domain.accounts.emails import EmailAddress


class Purpose(StrEnum):
    """What a token is good for."""

    PASSWORD_RESET = "password_reset"  # noqa: S105 - a purpose
    INVITATION = "invitation"
    EMAIL_VERIFICATION = "email_verification"
    EMAIL_CHANGE = "email_change"
    EMAIL_CHANGE_UNDO = "email_change_undo"
    FACTOR_CHANGE_UNDO = "factor_change_undo"
    SIGN_IN_CODE = "sign_in_code"


LIFETIMES: Final[Mapping[Purpose, timedelta]] = {
    Purpose.PASSWORD_RESET: timedelta(minutes=30),
    Purpose.INVITATION: timedelta(days=7),
    Purpose.EMAIL_VERIFICATION: timedelta(hours=24),
    Purpose.EMAIL_CHANGE: timedelta(hours=24),
    Purpose.EMAIL_CHANGE_UNDO: timedelta(hours=72),
    Purpose.FACTOR_CHANGE_UNDO: timedelta(hours=72),
    Purpose.SIGN_IN_CODE: timedelta(minutes=10),
}
"""Of the purposes whose token sets a password or signs in, what is usual: minutes."""

SETS_PASSWORD: Final = frozenset({Purpose.PASSWORD_RESET, Purpose.INVITATION})

SPENT_WITH_A_PASSWORD: Final = SETS_PASSWORD | {
    Purpose.SIGN_IN_CODE,
    Purpose.EMAIL_CHANGE,
}
"""Whoever else holds one of these must not get in, or have the next reset mailed to
them, after the password was changed or the account disabled."""

UNDOES: Final = frozenset({Purpose.EMAIL_CHANGE_UNDO, Purpose.FACTOR_CHANGE_UNDO})
"""By these, owners undo what others did to their account. No password, and no address,
that a thief sets makes it worthless."""

OF_MAILBOX: Final = frozenset(Purpose) - UNDOES
"""Tokens that the mailbox of an account receives. Once the account has another address
they are no longer valid, except those that undo something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredToken:
    """What is kept of a token."""

    id: str
    """16 random bytes in hex."""
    purpose: str
    user_id: int
    digest: bytes = field(repr=False)
    email: str
    """The address that the token is about."""
    email_key: str
    created_at: datetime
    expires_at: datetime
    about: str | None = None
    """What it undoes; None of what the other fields say."""

    @property
    def email_address(self) -> EmailAddress:
        """The address, with the key that it is compared by."""
        return EmailAddress(self.email, self.email_key)
