"""What replicas of version 0003 know of access tokens, while they may be running.

They accept and list a token by its row alone. Nothing else is read here, and with the
table this module goes.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import case, func, insert, literal, select, update

from identity_service.storage.repository import Repository
from identity_service.storage.tables import Moment, access_tokens


class AccessTokenRepository(Repository):
    """Rows of access tokens, within one transaction."""

    async def add(
        self,
        *,
        list_id: int,
        idx: int,
        user_id: int,
        session_id: str,
        expires_at: datetime,
    ) -> None:
        """Insert the row of a session's tokens."""
        await self._connection.execute(
            insert(access_tokens).values(
                list_id=list_id,
                idx=idx,
                user_id=user_id,
                session_id=session_id,
                expires_at=expires_at,
            )
        )

    async def prolong(
        self, *, list_id: int, idx: int, session_id: str, expires_at: datetime
    ) -> bool:
        """Keep the row of a session's tokens; return whether it is there and live."""
        later = literal(expires_at, Moment())
        return await self._affects(
            update(access_tokens)
            .where(
                access_tokens.c.list_id == list_id,
                access_tokens.c.idx == idx,
                access_tokens.c.session_id == session_id,
                access_tokens.c.revoked_at.is_(None),
            )
            .values(
                expires_at=case(
                    (access_tokens.c.expires_at > later, access_tokens.c.expires_at),
                    else_=later,
                )
            )
        )

    async def is_live(self, list_id: int, idx: int, session_id: str) -> bool:
        """Return whether a token of this session has the entry and is not revoked."""
        found = await self._connection.scalar(
            select(access_tokens.c.idx).where(
                access_tokens.c.list_id == list_id,
                access_tokens.c.idx == idx,
                access_tokens.c.session_id == session_id,
                access_tokens.c.revoked_at.is_(None),
            )
        )
        return found is not None

    async def revoked(self, list_id: int) -> frozenset[int]:
        """Return the entries of a list that are revoked."""
        found = await self._connection.scalars(
            select(access_tokens.c.idx).where(
                access_tokens.c.list_id == list_id,
                access_tokens.c.revoked_at.is_not(None),
            )
        )
        return frozenset(found)

    async def revision(self, list_id: int) -> tuple[object, ...]:
        """Return what is another after each revocation in a list."""
        found = await self._connection.execute(
            select(func.count(), func.max(access_tokens.c.revoked_at)).where(
                access_tokens.c.list_id == list_id,
                access_tokens.c.revoked_at.is_not(None),
            )
        )
        return tuple(found.one())

    async def revoke_of_session(self, session_id: str, now: datetime) -> None:
        """Revoke the tokens of a session, which its caller has ended or locked."""
        await self._connection.execute(
            _REVOKE.where(
                access_tokens.c.session_id == session_id,
                access_tokens.c.expires_at > now,
            ).values(revoked_at=now)
        )

    async def revoke_of_user(
        self, user_id: int, now: datetime, *, but_session: str | None = None
    ) -> None:
        """Revoke a user's tokens, whose sessions its caller has ended or locked."""
        statement = _REVOKE.where(
            access_tokens.c.user_id == user_id, access_tokens.c.expires_at > now
        )
        if but_session is not None:
            statement = statement.where(access_tokens.c.session_id != but_session)
        await self._connection.execute(statement.values(revoked_at=now))


_REVOKE: Final = update(access_tokens).where(access_tokens.c.revoked_at.is_(None))
