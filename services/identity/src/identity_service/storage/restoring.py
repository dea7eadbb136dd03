"""A database that was restored from a backup."""

from datetime import UTC, datetime
from typing import Final

from sqlalchemy import delete, func, insert, select, update

from identity_service.domain.sessions.sessions import EndReason
from identity_service.storage.expired_rows import remove_some
from identity_service.storage.repository import Repository
from identity_service.storage.tables import (
    access_tokens,
    audit_events,
    mail_requests,
    one_time_tokens,
    outbox,
    pending_sign_ups,
    revoked_entries,
    rollouts,
    sessions,
    status_lists,
    users,
)

_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)

_NOBODY: Final = {
    **dict.fromkeys(("username", "username_key", "email", "email_key"), ""),
    "password_hash": "",
    "password_is_temporary": False,
    **dict.fromkeys(("password_changed_at", "created_at", "updated_at"), _LONG_AGO),
}
"""A user with no name, which nobody can have."""


class RestoringRepository(Repository):
    """What a restored database must not bring back, within one transaction."""

    async def advance_user_ids(self, margin: int) -> int:
        """Leave out as many user ids; return the next one that is given.

        Counted from the last id that is known, so that doing it again changes nothing.
        """
        last = 0
        for known in (users.c.id, audit_events.c.subject_id):
            greatest = await self._connection.scalar(select(func.max(known)))
            last = max(last, greatest or 0)
        following = last + margin + 1
        # A row that comes and goes: setting the counter is a change of the schema, for
        # which identity's own account has no privilege.
        await self._connection.execute(
            insert(users).values(id=following - 1, **_NOBODY)
        )
        await self._connection.execute(delete(users).where(users.c.id == following - 1))
        return following

    async def end_sessions(
        self, after: str, reason: EndReason, limit: int
    ) -> tuple[int, str | None]:
        """End the live ones of some sessions, and have all forget their entries.

        Return how many ended, and the last id, None if there are no more sessions.
        """
        found = await self._connection.execute(
            select(sessions.c.id, sessions.c.ended_at)
            .where(sessions.c.id > after)
            .order_by(sessions.c.id)
            .limit(limit)
        )
        rows = found.all()
        if not rows:
            return 0, None
        some = update(sessions).where(
            sessions.c.id > after, sessions.c.id <= rows[-1].id
        )
        await self._connection.execute(
            some.where(sessions.c.ended_at.is_(None)).values(
                ended_at=self._now(), end_reason=reason
            )
        )
        await self._connection.execute(
            some.where(sessions.c.status_list.is_not(None)).values(
                status_list=None, status_idx=None
            )
        )
        return sum(row.ended_at is None for row in rows), rows[-1].id

    async def forget_lists(self) -> int:
        """Remove all lists, so that the next session begins one; return how many.

        Nobody serves replicas of an older version beside this one.
        """
        await self._connection.execute(delete(rollouts))
        return await self._affected(delete(status_lists))

    async def postpone_deletions(
        self, due_at: datetime, now: datetime, limit: int
    ) -> int:
        """Have some users who are to be deleted sooner deleted then; return how many.

        Those with the earliest dates come first.
        """
        found = await self._connection.scalars(
            select(users.c.id)
            .where(users.c.deletion_due_at < due_at)
            .order_by(users.c.deletion_due_at)
            .limit(limit)
        )
        await self._connection.execute(
            update(users)
            .where(users.c.id.in_(ids := found.all()))
            .values(deletion_due_at=due_at, updated_at=now)
        )
        return len(ids)

    async def forget_mail(self, limit: int) -> int:
        """Remove some unsent mail and tokens that mails brought; return how many.

        What was sent and used since the backup would be sent and be good again.
        """
        for key in (
            outbox.c.id,
            mail_requests.c.id,
            one_time_tokens.c.id,
            pending_sign_ups.c.id,
        ):
            if removed := await remove_some(self._connection, key, limit):
                return removed
        return 0

    async def forget_entries(self, limit: int) -> int:
        """Remove some entries of lists that are no more; return how many."""
        removed = 0
        for column in (revoked_entries.c.until, access_tokens.c.expires_at):
            removed += await remove_some(self._connection, column, limit)
        return removed
