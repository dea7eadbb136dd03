"""Sessions, and the verdicts on refresh tokens that did not rotate them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, StrEnum, auto
from typing import Final

from identity_service.domain.sessions.authentication import Authentication
from identity_service.domain.sessions.interruptions import Interruption
from identity_service.domain.sessions.status_entries import StatusEntry


@dataclass(frozen=True, slots=True)
class Device:
    """A client's name for itself, and its address."""

    name: str
    address: str
    is_gone: Callable[[], bool] = field(default=lambda: False, compare=False)
    """Whether the client has disconnected."""
    waited: Callable[[], timedelta] = field(default=timedelta, compare=False)
    """How long ago the request began."""
    is_forwarded: bool = False
    """Whether a gateway of ours sent the request on."""


OPERATOR: Final = Device("operator", "")
"""The device of the operator's commands."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A signed-in user who sends a request, by a verified access token."""

    user_id: int
    session_id: str
    device: Device
    authentication: Authentication
    """As the session has it."""


class EndReason(StrEnum):
    """Why a session ended before its time."""

    SIGNED_OUT = "signed_out"
    ENDED_BY_USER = "ended_by_user"
    ENDED_BY_ADMIN = "ended_by_admin"
    FACTOR_ADDED = "factor_added"
    FACTORS_RESET = "factors_reset"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a reason
    PASSWORD_RESET = "password_reset"  # noqa: S105 - a reason
    EMAIL_CHANGE_UNDONE = "email_change_undone"
    FACTOR_CHANGE_UNDONE = "factor_change_undone"
    ACCOUNT_LEFT = "account_left"
    """Its owner asked for its deletion."""
    ACCOUNT_DISABLED = "account_disabled"
    REFRESH_TOKEN_REUSED = "refresh_token_reused"  # noqa: S105 - a reason
    TOKEN_REVOKED = "token_revoked"  # noqa: S105 - a reason
    TOO_MANY = "too_many"
    """The user began more than there may be, and this was the least recently used."""
    RESTORED = "restored"
    """The database was restored from a backup."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One sign-in on one device."""

    id: str
    """16 random bytes in hex."""
    user_id: int
    client_id: str
    generation: int
    """Of its current refresh token; each rotation adds one."""
    device: str
    address: str
    created_at: datetime
    rotated_at: datetime
    idle_expires_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    entry: StatusEntry | None
    """Named by its access tokens; None if its next refresh is to get a new one."""
    token_expires_at: datetime | None
    """When the last access token that names the entry expires."""
    authentication: Authentication

    def is_live(self, now: datetime) -> bool:
        """Return whether it can be refreshed."""
        ends_at = min(self.idle_expires_at, self.expires_at)
        return self.ended_at is None and now < ends_at


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRules:
    """How long sessions live, and how many a user may have."""

    idle_lifetime: timedelta
    lifetime: timedelta
    grace: timedelta
    """How long after a rotation the spent token gets the same successor again."""
    tokens_are_spent: bool
    """Whether a refresh rotates. The tutorial's clients keep their first token."""
    most: int
    """Live sessions of a user; one more ends the least recently used."""


class Verdict(Enum):
    """The verdict on a refresh token that did not rotate its session."""

    REPLAYED = auto()
    """Its response was lost, or two tabs used it together: the same successor again."""
    LATE = auto()
    """It was spent by others while its request was on the way here."""
    REUSED = auto()
    """It was spent long ago, so it may have been stolen."""
    EXPIRED = auto()
    ENDED = auto()
    """The session is over, or never had a token of this generation."""


def judge(
    session: Session,
    generation: int,
    now: datetime,
    rules: SessionRules,
    *,
    began_at: datetime,
    interruption: Interruption | None = None,
) -> Verdict:
    """Judge a token of ``generation`` that the atomic rotation refused.

    ``began_at`` is when its request began: what was done to the session since then
    does not make it a reuse. Without a grace nothing is forgiven.

    Only the token before the current one is forgiven, and only for the grace: as
    soon as its successor is used, it is two generations old. A rotation that seems yet
    to come, because clocks differ by less than the grace, counts as one of now; one
    that is further ahead forgives nothing, or the grace would last until then. While
    refreshes fail by an ``interruption``, the grace goes on.
    """
    if session.ended_at is not None or generation > session.generation:
        return Verdict.ENDED
    if now >= min(session.idle_expires_at, session.expires_at):
        return Verdict.EXPIRED
    if not rules.grace:
        return Verdict.REUSED
    is_ahead = session.rotated_at - now > rules.grace
    is_timely = began_at - session.rotated_at <= rules.grace or (
        interruption is not None
        and interruption.lengthened(session.rotated_at, began_at, rules.grace)
    )
    if generation == session.generation - 1 and is_timely and not is_ahead:
        return Verdict.REPLAYED
    return Verdict.LATE if began_at < session.rotated_at <= now else Verdict.REUSED
