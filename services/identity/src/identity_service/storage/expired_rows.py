"""Remove rows that are over, a bounded number at a time, along an index."""

from datetime import datetime
from enum import Enum
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, delete, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from identity_service.storage.repository import Repository
from identity_service.storage.tables import (
    access_tokens,
    deleted_users,
    mail_requests,
    one_time_tokens,
    outbox,
    pending_sign_ups,
    revoked_entries,
    sessions,
    spent_challenges,
)

_ROWID: Final[ColumnElement[int]] = literal_column("rowid")


class Expiring(Enum):
    """Kinds of rows that expire, with the indexed column that says when."""

    SESSIONS = sessions.c.expires_at
    REVOKED_ENTRIES = revoked_entries.c.until
    ACCESS_TOKENS = access_tokens.c.expires_at
    ONE_TIME_TOKENS = one_time_tokens.c.expires_at
    PENDING_SIGN_UPS = pending_sign_ups.c.expires_at
    MAIL_REQUESTS = mail_requests.c.created_at
    DEAD_LETTERS = outbox.c.dead_at
    SPENT_CHALLENGES = spent_challenges.c.expires_at


class ExpiredRows(Repository):
    """Rows that are over, within one transaction."""

    async def remove(self, kind: Expiring, before: datetime, limit: int) -> int:
        """Remove up to ``limit`` rows that expired before then, oldest first."""
        column: Column[Any] = kind.value
        return await remove_some(self._connection, column, limit, column < before)

    async def oldest(self, kind: Expiring) -> datetime | None:
        """Return when the row expired, or will, that does so first."""
        column: Column[Any] = kind.value
        found = await self._connection.scalar(
            select(column).where(column.is_not(None)).order_by(column).limit(1)
        )
        return found if isinstance(found, datetime) else None

    async def remove_of_deleted_user(self, limit: int) -> int:
        """Remove up to ``limit`` sessions of a user who was deleted.

        The last time, the user is forgotten, which counts as one.
        """
        user_id = await self._connection.scalar(
            select(deleted_users.c.user_id).order_by(deleted_users.c.user_id).limit(1)
        )
        if user_id is None:
            return 0
        of_user = sessions.c.user_id == user_id
        removed = await remove_some(
            self._connection, sessions.c.user_id, limit, of_user
        )
        if removed < limit:
            await self._connection.execute(
                delete(deleted_users).where(deleted_users.c.user_id == user_id)
            )
        return max(removed, 1)


async def remove_some(
    connection: AsyncConnection,
    column: Column[Any],
    limit: int,
    *which: ColumnElement[bool],
) -> int:
    """Remove up to ``limit`` rows along the index of a column; return how many."""
    removing = delete(column.table)
    if connection.dialect.name == "sqlite":
        rows = select(_ROWID).select_from(column.table).where(*which)
        removing = removing.where(_ROWID.in_(rows.order_by(column).limit(limit)))
    else:
        removing = removing.where(*which).with_dialect_options(
            mysql_limit=limit, mariadb_limit=limit
        )
    return (await connection.execute(removing)).rowcount
