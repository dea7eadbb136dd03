"""Issue access tokens that can be revoked, and tell whether one was."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from identity_service.domain.accounts import Account
from identity_service.domain.revocation import list_id_of, list_uri
from identity_service.security.access_tokens import (
    AccessTokenContent,
    AccessTokenWriter,
)
from identity_service.security.key_material import SigningKey
from identity_service.storage.repositories import Repositories
from identity_service.usecases.ports import Database
from identity_service.usecases.revocation import StatusIndexes
from identity_service.usecases.signing_keys import SigningKeys
from service_kit.clock import Clock
from service_kit.tokens import Status, StatusReference


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
        """Remember the token, so that it can be revoked from the commit on."""
        await unit.access_tokens.add(
            list_id=self.list_id,
            idx=self.idx,
            user_id=user_id,
            session_id=session_id,
            expires_at=self.expires_at,
        )


class AccessTokens:
    """Issues access tokens in three steps, so that no transaction waits for any.

    `prepare` before the transaction, `PreparedToken.record` in it, `write` after it.
    """

    def __init__(
        self,
        keys: SigningKeys,
        entries: StatusIndexes,
        writer: AccessTokenWriter,
        clock: Clock,
        *,
        issuer: str,
        lifetime: timedelta,
    ) -> None:
        self._keys = keys
        self._entries = entries
        self._writer = writer
        self._clock = clock
        self._issuer = issuer
        self.lifetime = lifetime

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
            expires_at=issued_at + self.lifetime,
        )

    def write(
        self, prepared: PreparedToken, account: Account, session_id: str, client_id: str
    ) -> str:
        """Return the token, which speaks for the account as it is now."""
        content = AccessTokenContent(
            subject=account.id,
            session_id=session_id,
            client_id=client_id,
            roles=account.effective_roles,
            issued_at=prepared.issued_at,
            expires_at=prepared.expires_at,
            status_uri=list_uri(self._issuer, prepared.list_id),
            status_idx=prepared.idx,
        )
        return self._writer.write(content, prepared.key)


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
