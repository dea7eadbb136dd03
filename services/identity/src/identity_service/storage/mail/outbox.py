"""The outbox: mail that has not been sent, and what strangers ask to be sent."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, delete, func, insert, or_, select, update

from identity_service.domain.mail import (
    LONGEST_RETRY,
    MailRequest,
    MailRequestKind,
    StoredLetter,
)
from identity_service.storage.repository import Repository, columns_of, record_of
from identity_service.storage.tables import mail_requests, outbox

_LONGEST_ERROR: Final = 200


class OutboxRepository(Repository):
    """The outbox, within one transaction."""

    async def add(self, letter: StoredLetter) -> None:
        """Insert a letter."""
        await self._connection.execute(insert(outbox).values(columns_of(letter)))

    async def has_work(self) -> bool:
        """Return whether a letter is due, or requested."""
        is_due = select(outbox.c.id).where(_is_due(self._now())).exists()
        is_asked = select(mail_requests.c.id).exists()
        return bool(await self._connection.scalar(select(or_(is_due, is_asked))))

    async def due(self, limit: int) -> list[StoredLetter]:
        """Return letters that are due, the longest due first."""
        is_due = _is_due(self._now())
        rows = await self._connection.execute(
            select(outbox).where(is_due).order_by(outbox.c.due_at).limit(limit)
        )
        return [record_of(StoredLetter, row) for row in rows]

    async def claim(self, letter: StoredLetter, until: datetime) -> bool:
        """Count an attempt, and keep others from the letter until then.

        One statement, so of any number of processes one alone gets it.
        """
        return await self._affects(
            update(outbox)
            .where(outbox.c.id == letter.id, outbox.c.due_at == letter.due_at)
            .values(due_at=until, attempts=outbox.c.attempts + 1)
        )

    async def put_off(self, letter_id: str, due_at: datetime, error: str) -> None:
        """Have a letter tried again then."""
        await self._set(letter_id, due_at=due_at, error=error[:_LONGEST_ERROR])

    async def leave(self, letter: StoredLetter, due_at: datetime, error: str) -> None:
        """Have a letter tried again then, as if it had not been claimed."""
        await self._set(
            letter.id,
            due_at=due_at,
            attempts=letter.attempts,
            error=error[:_LONGEST_ERROR],
        )

    async def after(self, letter_id: str, limit: int) -> list[StoredLetter]:
        """Return letters in order of their ids, dead ones too."""
        rows = await self._connection.execute(
            select(outbox)
            .where(outbox.c.id > letter_id)
            .order_by(outbox.c.id)
            .limit(limit)
        )
        return [record_of(StoredLetter, row) for row in rows]

    async def reseal(self, letter_id: str, sealed: bytes, renewed: bytes) -> bool:
        """Replace what is sealed, unless the letter was sent meanwhile."""
        return await self._affects(
            update(outbox)
            .where(outbox.c.id == letter_id, outbox.c.sealed == sealed)
            .values(sealed=renewed)
        )

    async def bury(self, letter_id: str, error: str) -> None:
        """Give a letter up; the operator may have it sent again."""
        await self._set(
            letter_id, due_at=None, dead_at=self._now(), error=error[:_LONGEST_ERROR]
        )

    async def remove(self, letter_id: str) -> None:
        """Remove a letter: it was sent."""
        await self._connection.execute(delete(outbox).where(outbox.c.id == letter_id))

    async def remove_of_user(self, user_id: int) -> None:
        """Remove what a user has yet to be sent."""
        await self._connection.execute(
            delete(outbox).where(outbox.c.user_id == user_id)
        )

    async def page(self, limit: int, *, dead: bool) -> list[StoredLetter]:
        """Return dead letters, or those that wait; the oldest first."""
        column = outbox.c.dead_at if dead else outbox.c.due_at
        rows = await self._connection.execute(
            select(outbox)
            .where(column.is_not(None))
            .order_by(column, outbox.c.id)
            .limit(limit)
        )
        return [record_of(StoredLetter, row) for row in rows]

    async def of_user(self, user_id: int) -> list[StoredLetter]:
        """Return what a user has yet to be sent."""
        rows = await self._connection.execute(
            select(outbox).where(outbox.c.user_id == user_id)
        )
        return [record_of(StoredLetter, row) for row in rows]

    async def resend(self, letter_ids: Sequence[str]) -> int:
        """Have dead letters tried again as if they were new; return how many."""
        return await self._affected(
            update(outbox)
            .where(outbox.c.id.in_(letter_ids), outbox.c.dead_at.is_not(None))
            .values(due_at=self._now(), dead_at=None, attempts=0)
        )

    async def count(self) -> tuple[int, int]:
        """Return how many letters wait, and how many are dead, by an index of each."""
        counts = (
            select(func.count()).where(column.is_not(None)).scalar_subquery()
            for column in (outbox.c.due_at, outbox.c.dead_at)
        )
        row = await self._connection.execute(select(*counts))
        waiting, dead = row.one()
        return waiting, dead

    async def add_request(self, request: MailRequest) -> None:
        """Insert a request."""
        await self._connection.execute(
            insert(mail_requests).values(**columns_of(request), created_at=self._now())
        )

    async def take_request(self) -> tuple[int, MailRequest] | None:
        """Remove the oldest request that no other process has; return its id and it."""
        row = await self._row(
            select(mail_requests)
            .where(mail_requests.c.kind.in_(list(MailRequestKind)))
            .order_by(mail_requests.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        if row is None:
            return None
        await self.remove_request(row.id)
        return row.id, MailRequest(
            kind=MailRequestKind(row.kind),
            email_key=row.email_key,
            language=row.language,
            address=row.address,
        )

    async def remove_request(self, request_id: int) -> None:
        """Remove a request, if it is still there."""
        await self._connection.execute(
            delete(mail_requests).where(mail_requests.c.id == request_id)
        )

    async def _set(self, letter_id: str, **values: object) -> None:
        await self._connection.execute(
            update(outbox).where(outbox.c.id == letter_id).values(**values)
        )


def _is_due(now: datetime) -> ColumnElement[bool]:
    """Return the condition of letters whose time has come.

    One that has to wait for very long was put off while the clock was ahead.
    """
    return or_(outbox.c.due_at <= now, outbox.c.due_at > now + 2 * LONGEST_RETRY)
