"""Tokens and codes that travel by mail, as they are stored."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import delete, insert, literal, select

from identity_service.domain.errors import EmailTakenError
from identity_service.domain.one_time_tokens import Purpose, StoredToken
from identity_service.storage.repository import Repository, columns_of, record_of
from identity_service.storage.tables import one_time_tokens


class OneTimeTokenRepository(Repository):
    """One-time tokens, within one transaction."""

    async def add(self, token: StoredToken) -> None:
        """Insert a token."""
        await self._connection.execute(
            insert(one_time_tokens).values(columns_of(token))
        )

    async def get(self, token_id: str) -> StoredToken | None:
        """Return the token of this id."""
        row = await self._row(
            select(one_time_tokens).where(one_time_tokens.c.id == token_id)
        )
        return None if row is None else record_of(StoredToken, row)

    async def of_user(self, user_id: int) -> list[StoredToken]:
        """Return what a user has been sent and not used, the oldest first."""
        rows = await self._connection.execute(
            select(one_time_tokens)
            .where(one_time_tokens.c.user_id == user_id)
            .order_by(one_time_tokens.c.created_at)
        )
        return [record_of(StoredToken, row) for row in rows]

    async def refuse_reserved(self, email_key: str, *, other_than: int) -> None:
        """Raise `EmailTakenError` if another user may undo a change from this address.

        Call it after the address has been written to the row of its new owner: by then
        the unique index has made the statement wait for any concurrent change.
        """
        found = await self._connection.scalar(
            select(literal(1))
            .where(
                one_time_tokens.c.email_key == email_key,
                one_time_tokens.c.purpose == Purpose.EMAIL_CHANGE_UNDO,
                one_time_tokens.c.user_id != other_than,
                one_time_tokens.c.expires_at > self._now(),
            )
            .limit(1)
        )
        if found is not None:
            raise EmailTakenError

    async def spend(self, token_id: str) -> bool:
        """Remove a token; of any number of simultaneous uses one alone gets True."""
        return await self._affects(
            delete(one_time_tokens).where(one_time_tokens.c.id == token_id)
        )

    async def remove_of_user(
        self,
        user_id: int,
        purposes: Iterable[Purpose] = Purpose,
        *,
        since: datetime | None = None,
    ) -> None:
        """Remove a user's tokens of these purposes, or those made since then."""
        removing = delete(one_time_tokens).where(
            one_time_tokens.c.user_id == user_id,
            one_time_tokens.c.purpose.in_(list(purposes)),
        )
        if since is not None:
            removing = removing.where(one_time_tokens.c.created_at >= since)
        await self._connection.execute(removing)
