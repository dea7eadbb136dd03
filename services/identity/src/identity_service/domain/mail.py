"""Mail: letters, requests for letters, and the failures of sending."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final


class MailKind(StrEnum):
    """What a mail is about; its templates have this name."""

    PASSWORD_RESET = "password_reset"  # noqa: S105 - a kind of mail
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a kind of mail
    INVITATION = "invitation"
    SIGN_UP = "sign_up"
    ALREADY_SIGNED_UP = "already_signed_up"
    EMAIL_VERIFICATION = "email_verification"
    EMAIL_CHANGE = "email_change"
    EMAIL_CHANGED = "email_changed"
    TOTP_ENROLLED = "totp_enrolled"
    TOTP_REMOVED = "totp_removed"
    PASSKEY_ADDED = "passkey_added"
    PASSKEY_REMOVED = "passkey_removed"
    RECOVERY_CODES_MADE = "recovery_codes_made"
    FACTORS_RESET = "factors_reset"
    SIGN_IN_CODE = "sign_in_code"
    ACCOUNT_DELETION = "account_deletion"


FACTOR_MAILS: Final = (
    MailKind.TOTP_ENROLLED,
    MailKind.TOTP_REMOVED,
    MailKind.PASSKEY_ADDED,
    MailKind.PASSKEY_REMOVED,
    MailKind.RECOVERY_CODES_MADE,
    MailKind.FACTORS_RESET,
)
"""What announces a change of second factors, with a link that undoes it."""


LONGEST_RETRY: Final = timedelta(hours=1)
"""From one attempt at a letter to the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A mail that has yet to be written."""

    kind: MailKind
    to: str
    """An e-mail address."""
    language: str
    user_id: int | None = None
    """The user it is for, None if there is no account yet."""
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What its templates name. ``token`` is there as ``link``, to the page for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLetter:
    """A letter in the outbox."""

    id: str
    """16 random bytes in hex; the mail's Message-ID is made of it."""
    kind: str
    user_id: int | None
    sealed: bytes = field(repr=False)
    created_at: datetime
    due_at: datetime | None
    """When it is tried, or tried again; None if it is dead."""
    dead_at: datetime | None
    attempts: int = 0
    error: str = ""
    """Why the last attempt failed."""


class MailRequestKind(StrEnum):
    """The mails that an unauthenticated client may request."""

    PASSWORD_RESET = "password_reset"  # noqa: S105 - a kind of mail
    EMAIL_VERIFICATION = "email_verification"
    SIGN_IN_CODE = "sign_in_code"


@dataclass(frozen=True, slots=True, kw_only=True)
class MailRequest:
    """A request by an unauthenticated client for a mail to an address."""

    kind: MailRequestKind
    email_key: str
    language: str
    address: str
    """The client's IP address."""


class MailServerUnavailableError(Exception):
    """The mail server cannot be reached, or refuses every letter."""


class LetterRefusedError(Exception):
    """The mail server will never take this letter."""


class LetterDeferredError(Exception):
    """The mail server may take this letter later."""
