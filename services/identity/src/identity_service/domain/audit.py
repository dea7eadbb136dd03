"""Audit events: who did what, each with a hash over all events before it."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, Self

from identity_service.domain.accounts.roles import MOST_NAME, MOST_ROLES
from identity_service.domain.sessions.sessions import Caller, Device

GENESIS: Final = "0" * 64
"""The previous hash of the first event."""

LONGEST_TEXT: Final = MOST_ROLES * (MOST_NAME + 1)
"""Characters of one detail: the names of all roles are the longest."""

Detail = str | int | bool | None


class Action(StrEnum):
    """The recorded actions. Their names are stable: operators search for them."""

    SIGNED_UP = "account.signed_up"
    ACCOUNT_CREATED = "account.created"
    ACCOUNT_CHANGED = "account.changed"
    ACCOUNT_DISABLED = "account.disabled"
    ACCOUNT_ENABLED = "account.enabled"
    ACCOUNT_DELETED = "account.deleted"
    ROLES_CHANGED = "account.roles_changed"
    PASSWORD_CHANGED = "account.password_changed"  # noqa: S105 - an action
    PASSWORD_REFUSED = "account.password_refused"  # noqa: S105 - an action
    PASSWORD_RESET_SENT = "account.password_reset_sent"  # noqa: S105 - an action
    PASSWORD_RESET = "account.password_reset"  # noqa: S105 - an action
    TOKEN_REFUSED = "account.token_refused"  # noqa: S105 - an action
    INVITED = "account.invited"
    SIGN_UP_REQUESTED = "account.sign_up_requested"
    EMAIL_VERIFICATION_SENT = "account.email_verification_sent"
    EMAIL_VERIFIED = "account.email_verified"
    EMAIL_CHANGE_REQUESTED = "account.email_change_requested"
    EMAIL_CHANGED = "account.email_changed"
    EMAIL_CHANGE_UNDONE = "account.email_change_undone"
    SIGN_IN_CODE_SENT = "account.sign_in_code_sent"
    DELETION_REQUESTED = "account.deletion_requested"
    DELETION_CANCELLED = "account.deletion_cancelled"
    EXPORTED = "account.exported"
    MALFORMED_HASH = "account.malformed_hash"
    SIGNED_IN = "session.signed_in"
    SIGN_IN_REFUSED = "session.sign_in_refused"
    SECOND_FACTOR_ASKED = "session.second_factor_asked"
    SECOND_FACTOR_REFUSED = "session.second_factor_refused"
    FRESH_CHECK = "session.fresh_check"
    FRESH_CHECK_REFUSED = "session.fresh_check_refused"
    SESSION_ENDED = "session.ended"
    REFRESH_TOKEN_REUSED = "session.refresh_token_reused"  # noqa: S105 - an action
    TOTP_ENROLLED = "factor.totp_enrolled"
    TOTP_REFUSED = "factor.totp_refused"
    TOTP_REMOVED = "factor.totp_removed"
    RECOVERY_CODES_MADE = "factor.recovery_codes_made"
    PASSKEY_ADDED = "factor.passkey_added"
    PASSKEY_REFUSED = "factor.passkey_refused"
    PASSKEY_RENAMED = "factor.passkey_renamed"
    PASSKEY_REMOVED = "factor.passkey_removed"
    FACTORS_RESET = "factor.all_removed"
    FACTOR_CHANGE_UNDONE = "factor.change_undone"
    ROLE_ADDED = "role.added"
    ROLE_DESCRIBED = "role.described"
    ROLE_REMOVED = "role.removed"
    KEY_PUBLISHED = "signing_key.published"
    KEY_ACTIVATED = "signing_key.activated"
    KEY_WITHDRAWN = "signing_key.withdrawn"
    RESTORED = "database.restored"
    KEY_RESEALED = "signing_key.resealed"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """An event to be recorded.

    ``details`` say what the other fields can't, never a password, token or key. Text
    from strangers may stand in them: they are stored as ASCII JSON, so it forges
    nothing.
    """

    action: Action
    actor_id: int | None = None
    """The user who did it; None for the system and for strangers."""
    subject_id: int | None = None
    """The user who is affected."""
    address: str = ""
    """Where the actor called from."""
    details: Mapping[str, Detail] = field(default_factory=dict)

    @classmethod
    def of_new_user(
        cls,
        action: Action,
        subject_id: int,
        roles: Iterable[str],
        *,
        actor_id: int | None = None,
        address: str = "",
    ) -> Self:
        """Return how a user came to be, and what they may do from then on."""
        return cls(
            action=action,
            actor_id=actor_id,
            subject_id=subject_id,
            address=address,
            details={"roles": " ".join(sorted(roles))},
        )

    @classmethod
    def by_user(
        cls, action: Action, user_id: int, device: Device, **details: Detail
    ) -> Self:
        """Return the event of a user who did something to their own account."""
        return cls(
            action=action,
            actor_id=user_id,
            subject_id=user_id,
            address=device.address,
            details=details,
        )

    @classmethod
    def by_caller(
        cls,
        action: Action,
        caller: Caller,
        user_id: int | None = None,
        /,
        **details: Detail,
    ) -> Self:
        """Return the event of a signed-in user who did something to a user.

        ``user_id`` is that user, the caller by default.
        """
        return cls(
            action=action,
            actor_id=caller.user_id,
            subject_id=caller.user_id if user_id is None else user_id,
            address=caller.device.address,
            details=details,
        )

    @classmethod
    def without_actor(
        cls, action: Action, user_id: int | None, address: str, **details: Detail
    ) -> Self:
        """Return an event whose actor is not known, or is the operator.

        ``user_id`` is the user it concerns, None if there is none.
        """
        return cls(action=action, subject_id=user_id, address=address, details=details)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """An event in its place in the chain."""

    id: int
    at: datetime
    action: str
    actor_id: int | None
    subject_id: int | None
    address: str
    request_id: str
    details: str
    previous_hash: str
    hash: str

    def expected_hash(self) -> str:
        """Return the SHA-256 over everything the record says, its past included."""
        content = [
            self.id,
            self.at.isoformat(timespec="microseconds"),
            self.action,
            self.actor_id,
            self.subject_id,
            self.address,
            self.request_id,
            self.details,
            self.previous_hash,
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class AuditHead:
    """Where the chain starts and ends."""

    last_event_id: int
    last_hash: str
    first_previous_hash: str
    """The hash of the last event that retention has removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuery:
    """A filter for records; None matches every value."""

    limit: int
    before_id: int | None = None
    actor_id: int | None = None
    subject_id: int | None = None
    about_id: int | None = None
    """A user who did it, or to whom it was done."""
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def details_text(details: Mapping[str, Detail]) -> str:
    """Return details as they are stored: one line of ASCII, each text bounded."""
    bounded = {
        name: value[:LONGEST_TEXT] if isinstance(value, str) else value
        for name, value in details.items()
    }
    return json.dumps(bounded, sort_keys=True)
