"""Issue access tokens, and look up whether one was revoked."""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Self

from identity_service.domain.status_entries import list_id_of, list_uri
from identity_service.domain.users import User
from identity_service.security.jws import write_jws
from identity_service.security.key_material import SigningKey
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.usecases.signing_keys import SigningKeys
from identity_service.usecases.status_entries import StatusEntries
from service_kit.clock import Clock
from service_kit.tokens import Status, StatusReference

FIRST_PARTY: Final = "first-party"
"""The gateway's own client id: who signs in with a password does so through it."""

_JTI_SIZE: Final = 16
"""Random bytes: no two tokens share a name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedToken:
    """All that a token needs from outside the transaction that issues it."""

    key: SigningKey
    list_id: int
    idx: int
    issued_at: datetime
    expires_at: datetime

    @property
    def lifetime_seconds(self) -> int:
        """How long the token is good, from when it is issued."""
        return int((self.expires_at - self.issued_at).total_seconds())

    async def shared(self, unit: Repositories, session_id: str) -> Self | None:
        """Return the token with the entry and the end of the session's latest.

        Nothing has to be stored for it: what revokes the one revokes the other.
        None if that one has expired or was revoked.
        """
        entry = await unit.access_tokens.latest_of(session_id, self.issued_at)
        if entry is None:
            return None
        list_id, idx, expires_at = entry
        return replace(self, list_id=list_id, idx=idx, expires_at=expires_at)

    async def record(self, unit: Repositories, user_id: int, session_id: str) -> None:
        """Record the token, so that it can be revoked from the commit on."""
        await unit.access_tokens.add(
            list_id=self.list_id,
            idx=self.idx,
            user_id=user_id,
            session_id=session_id,
            expires_at=self.expires_at,
        )


class AccessTokens:
    """Issues access tokens (RFC 9068) in three steps, so that no transaction waits.

    `prepare` before the transaction, `PreparedToken.record` in it, `write` after it.
    """

    def __init__(
        self,
        keys: SigningKeys,
        entries: StatusEntries,
        clock: Clock,
        *,
        issuer: str,
        audience: str,
        media_type: str,
        lifetime: timedelta,
    ) -> None:
        self._keys = keys
        self._entries = entries
        self._clock = clock
        self._issuer = issuer
        self._audience = audience
        self._media_type = media_type
        self._lifetime = lifetime

    async def prepare(self) -> PreparedToken:
        """Return what the next token needs.

        Raises
        ------
        SigningKeyUnavailableError, DatabaseUnavailableError
        """
        key = await self._keys.active()
        list_id, idx = await self._entries.allocate()
        issued_at = self._clock().replace(microsecond=0)
        return PreparedToken(
            key=key,
            list_id=list_id,
            idx=idx,
            issued_at=issued_at,
            expires_at=issued_at + self._lifetime,
        )

    def write(self, prepared: PreparedToken, user: User, session_id: str) -> str:
        """Return the token, which speaks for the user as they are now.

        ASCII only: no user name, no e-mail address.
        """
        status_uri = list_uri(self._issuer, prepared.list_id)
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": str(user.id),
            "client_id": FIRST_PARTY,
            "iat": int(prepared.issued_at.timestamp()),
            "exp": int(prepared.expires_at.timestamp()),
            "jti": secrets.token_urlsafe(_JTI_SIZE),
            "sid": session_id,
            "roles": sorted(user.effective_roles),
            "status": {"status_list": {"idx": prepared.idx, "uri": status_uri}},
        }
        return write_jws(claims, prepared.key, media_type=self._media_type)


class StoredStatuses:
    """The `StatusSource` of the issuer itself: it asks its own rows."""

    def __init__(self, database: Database, *, issuer: str) -> None:
        self._database = database
        self._issuer = issuer

    def cached(self, reference: StatusReference, now: datetime) -> None:
        """Return nothing: the rows are asked each time."""

    async def fetch(self, reference: StatusReference, now: datetime) -> int:
        """Return the token's status; one that was never issued here is invalid."""
        del now  # a row does not age
        list_id = list_id_of(self._issuer, reference.uri)
        if list_id is None:
            return Status.INVALID
        is_live = await self._database.read(
            lambda unit: unit.access_tokens.is_live(list_id, reference.idx)
        )
        return Status.VALID if is_live else Status.INVALID
