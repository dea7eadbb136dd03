"""The life of a signing key, and what is due next in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, StrEnum, auto
from typing import Final

CLOCK_SKEW: Final = timedelta(seconds=60)
"""As much as any verifier may allow an expired token."""

MAX_CONFIRMATION: Final = timedelta(seconds=60)
"""How long a process signs with the key that the database last named."""

MAX_POLL: Final = timedelta(seconds=5)
"""How often a process reads the changes of keys by other processes."""


class KeySlot(StrEnum):
    """Places that one key at a time can have; the unique index sees to it."""

    NEXT = "next"
    ACTIVE = "active"


class KeyState(StrEnum):
    """Where a key is in its life."""

    NEXT = auto()
    """Published, but signs nothing yet."""
    ACTIVE = auto()
    """Signs."""
    RETIRING = auto()
    """Published for what it has signed; its private half is destroyed."""
    GONE = auto()
    """No longer published; its row is about to be removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """A signing key, as the database knows it."""

    kid: str
    slot: KeySlot | None
    public_jwk: str
    sealed_private_key: bytes | None
    published_at: datetime
    activated_at: datetime | None
    retired_at: datetime | None
    expires_at: datetime | None
    """When nothing that it has signed is valid any more."""

    def state(self, now: datetime) -> KeyState:
        """Return where the key is in its life."""
        match self.slot:
            case KeySlot.NEXT:
                return KeyState.NEXT
            case KeySlot.ACTIVE:
                return KeyState.ACTIVE
            case None:
                is_over = self.expires_at is None or now >= self.expires_at
                return KeyState.GONE if is_over else KeyState.RETIRING


def in_slot(keys: Sequence[KeyRecord]) -> tuple[KeyRecord | None, KeyRecord | None]:
    """Return the active key and the next one."""
    found = {key.slot: key for key in keys}
    return found.get(KeySlot.ACTIVE), found.get(KeySlot.NEXT)


@dataclass(frozen=True, slots=True)
class KeyLife:
    """A key with the moments of its life, past and planned."""

    kid: str
    state: KeyState
    published_at: datetime
    signs_from: datetime
    signs_until: datetime
    unpublished_at: datetime


class Step(Enum):
    """What is to be done to the keys."""

    BEGIN = auto()
    """Make the very first key, which signs immediately: there is no older one."""
    PUBLISH = auto()
    """Make the next key and publish it."""
    ROTATE = auto()
    """Let the next key sign."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySchedule:
    """When a key takes the next step of its life.

    A next key is always published, not only shortly before it signs: so a verifier or
    a process that missed one rotation still knows the key of the next, and an
    emergency finds a key that everybody has.
    """

    lifetime: timedelta
    """How long a key signs."""
    prepublication: timedelta
    """How long it is published before, at least, by the operator's wish."""
    jwks_max_age: timedelta
    """How long verifiers may keep the JWKS."""
    access_token_lifetime: timedelta

    @property
    def publication(self) -> timedelta:
        """How long a key is published before it signs.

        At least twice the time that verifiers keep the JWKS: once for a verifier that
        fetched it just before, once for processes that learnt of the key late, for
        slow fetches and for clocks that differ.
        """
        return max(self.prepublication, 2 * self.jwks_max_age)

    @property
    def poll(self) -> timedelta:
        """How often a process reads the changes of keys by others."""
        return min(MAX_POLL, self.jwks_max_age)

    @property
    def confirmation(self) -> timedelta:
        """How long a process signs with the key that the database last named.

        A key that has been retired meanwhile is still published for as long.
        """
        return min(MAX_CONFIRMATION, self.publication)

    def rotates_at(self, active: KeyRecord, following: KeyRecord) -> datetime:
        """Return when the following key is to sign in the active one's place."""
        activated_at = active.activated_at or active.published_at
        return max(
            activated_at + self.lifetime, following.published_at + self.publication
        )

    def expires_at(self, retired_at: datetime) -> datetime:
        """Return when nothing that a key has signed is valid any more."""
        return retired_at + self.confirmation + self.access_token_lifetime + CLOCK_SKEW

    def max_age(self, lag: timedelta) -> timedelta:
        """Return how long a verifier may keep a JWKS that was read ``lag`` ago.

        It never outlasts the moment at which a key that is not in it may sign.
        """
        remaining = self.publication / 2 - lag
        return max(timedelta(), min(self.jwks_max_age, remaining))

    def lives(self, keys: Sequence[KeyRecord], now: datetime) -> list[KeyLife]:
        """Return the published keys with all that is past and planned for them."""
        published = [key for key in keys if key.state(now) is not KeyState.GONE]
        active, following = in_slot(published)
        rotates_at = (
            None
            if active is None or following is None
            else max(now, self.rotates_at(active, following))
        )
        return [self._life(key, now, rotates_at) for key in published]

    def _life(
        self, key: KeyRecord, now: datetime, rotates_at: datetime | None
    ) -> KeyLife:
        planned = rotates_at or now
        if key.slot is KeySlot.NEXT:
            signs_from = planned
            signs_until = planned + self.lifetime
        else:
            signs_from = key.activated_at or key.published_at
            signs_until = key.retired_at or rotates_at or signs_from + self.lifetime
        return KeyLife(
            kid=key.kid,
            state=key.state(now),
            published_at=key.published_at,
            signs_from=signs_from,
            signs_until=signs_until,
            unpublished_at=key.expires_at or self.expires_at(signs_until),
        )

    def due(self, keys: Sequence[KeyRecord], now: datetime) -> Step | None:
        """Return what is to be done now, if anything."""
        active, following = in_slot(keys)
        if active is None:
            return Step.BEGIN
        if following is None:
            return Step.PUBLISH
        if now >= self.rotates_at(active, following):
            return Step.ROTATE
        return None
