"""Which access tokens were issued, so that they can be revoked."""

from datetime import datetime
from typing import Final

from sqlalchemy import delete, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from identity_service.storage.tables import access_tokens

_ADD: Final = insert(access_tokens)
"""Built once: it runs at each refresh."""


class AccessTokenRepository:
    """Issued access tokens, within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(
        self,
        *,
        list_id: int,
        idx: int,
        user_id: int,
        session_id: str,
        expires_at: datetime,
    ) -> None:
        """Insert a token, named by its entry in a status list."""
        await self._connection.execute(
            _ADD,
            {
                "list_id": list_id,
                "idx": idx,
                "user_id": user_id,
                "session_id": session_id,
                "expires_at": expires_at,
            },
        )

    async def is_live(self, list_id: int, idx: int) -> bool:
        """Return whether this token was issued and has not been revoked."""
        found = await self._connection.scalar(
            select(access_tokens.c.idx).where(
                access_tokens.c.list_id == list_id,
                access_tokens.c.idx == idx,
                access_tokens.c.revoked_at.is_(None),
            )
        )
        return found is not None

    async def latest_of(
        self, session_id: str, now: datetime
    ) -> tuple[int, int, datetime] | None:
        """Return the entry and the end of a session's token that is good for longest.

        None if the session has no token, or the latest was revoked.
        """
        found = await self._connection.execute(
            select(access_tokens)
            .where(
                access_tokens.c.session_id == session_id,
                access_tokens.c.expires_at > now,
            )
            .order_by(access_tokens.c.expires_at.desc(), access_tokens.c.idx)
            .limit(1)
        )
        row = found.one_or_none()
        if row is None or row.revoked_at is not None:
            return None
        return row.list_id, row.idx, row.expires_at

    async def revoke(self, list_id: int, idx: int, now: datetime) -> None:
        """Revoke one token."""
        await self._connection.execute(
            update(access_tokens)
            .where(
                access_tokens.c.list_id == list_id,
                access_tokens.c.idx == idx,
                access_tokens.c.revoked_at.is_(None),
            )
            .values(revoked_at=now)
        )

    async def revoke_of_session(self, session_id: str, now: datetime) -> None:
        """Revoke the tokens of a session, which its caller has ended or locked."""
        await self._connection.execute(
            update(access_tokens)
            .where(
                access_tokens.c.session_id == session_id,
                access_tokens.c.revoked_at.is_(None),
                access_tokens.c.expires_at > now,
            )
            .values(revoked_at=now)
        )

    async def revoke_of_user(
        self, user_id: int, now: datetime, *, but_session: str | None = None
    ) -> None:
        """Revoke a user's tokens, whose sessions its caller has ended or locked."""
        statement = update(access_tokens).where(
            access_tokens.c.user_id == user_id,
            access_tokens.c.revoked_at.is_(None),
            access_tokens.c.expires_at > now,
        )
        if but_session is not None:
            statement = statement.where(access_tokens.c.session_id != but_session)
        await self._connection.execute(statement.values(revoked_at=now))

    async def prune(self, expired_before: datetime, limit: int) -> int:
        """Delete up to ``limit`` tokens that expired before; return how many.

        Rows that another replica is pruning are left to it.
        """
        key = tuple_(access_tokens.c.list_id, access_tokens.c.idx)
        found = await self._connection.execute(
            select(access_tokens.c.list_id, access_tokens.c.idx)
            .where(access_tokens.c.expires_at < expired_before)
            .order_by(access_tokens.c.expires_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        rows = [tuple(row) for row in found]
        if not rows:
            return 0
        pruned = await self._connection.execute(
            delete(access_tokens).where(key.in_(rows))
        )
        return pruned.rowcount
