"""The audit events in the database."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from sqlalchemy import ColumnElement, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from identity_service.domain.audit import (
    AuditEvent,
    AuditHead,
    AuditQuery,
    AuditRecord,
    details_text,
)
from identity_service.storage.repository import Repository, columns_of, record_of
from identity_service.storage.tables import audit_events, audit_head
from service_kit.clock import Clock
from service_kit.observability.request_id import client_request_id, request_id

_HEAD: Final = 1
_ADD: Final = insert(audit_events)
_LOCK_HEAD: Final = select(audit_head).where(audit_head.c.id == _HEAD).with_for_update()
_MOVE_END: Final = update(audit_head).where(audit_head.c.id == _HEAD)
"""Built once: they run at each sign-in."""


class AuditRepository(Repository):
    """Audit events, within one transaction."""

    def __init__(self, connection: AsyncConnection, clock: Clock) -> None:
        super().__init__(connection, clock)
        self._appended: list[AuditRecord] = []

    def append(self, event: AuditEvent) -> None:
        """Have an event added to the end of the chain, when the transaction ends.

        An id that the client itself gave its request is among the details.
        """
        client_id = client_request_id.get()
        own = {"client_request_id": client_id} if client_id else {}
        self._appended.append(
            AuditRecord(
                id=0,
                at=self._now(),
                action=event.action.value,
                actor_id=event.actor_id,
                subject_id=event.subject_id,
                address=event.address,
                request_id=request_id.get(),
                details=details_text({**event.details, **own}),
                previous_hash="",
                hash="",
            )
        )

    async def flush(self) -> None:
        """Add the events.

        It locks the chain's head until the transaction ends, so it is the last thing
        done in it: the holder of the head waits for no other lock.
        """
        if not self._appended:
            return
        head = await self.lock_head()
        last_id, last_hash, rows = head.last_event_id, head.last_hash, []
        for event in self._appended:
            record = replace(event, id=last_id + 1, previous_hash=last_hash)
            last_id, last_hash = record.id, record.expected_hash()
            record = replace(record, hash=last_hash)
            rows.append(columns_of(record))
        await self._connection.execute(_ADD, rows)
        await self._connection.execute(
            _MOVE_END, {"last_event_id": last_id, "last_hash": last_hash}
        )

    async def lock_head(self) -> AuditHead:
        """Return where the chain starts and ends, and keep it so until the end."""
        rows = await self._connection.execute(_LOCK_HEAD)
        row = rows.one()
        return AuditHead(row.last_event_id, row.last_hash, row.first_previous_hash)

    async def after(self, event_id: int, limit: int) -> list[AuditRecord]:
        """Return the records after that one, oldest first."""
        rows = await self._connection.execute(
            select(audit_events)
            .where(audit_events.c.id > event_id)
            .order_by(audit_events.c.id)
            .limit(limit)
        )
        return [record_of(AuditRecord, row) for row in rows]

    async def search(self, query: AuditQuery) -> list[AuditRecord]:
        """Return the records that match, newest first."""
        statement = select(audit_events).where(*_conditions(query))
        rows = await self._connection.execute(
            statement.order_by(audit_events.c.id.desc()).limit(query.limit)
        )
        return [record_of(AuditRecord, row) for row in rows]

    async def remove_up_to(self, last: AuditRecord) -> None:
        """Remove the oldest events, ``last`` included; the chain starts after it."""
        await self._connection.execute(
            delete(audit_events).where(audit_events.c.id <= last.id)
        )
        await self._connection.execute(
            update(audit_head)
            .where(audit_head.c.id == _HEAD)
            .values(first_previous_hash=last.hash)
        )


def _conditions(query: AuditQuery) -> Iterator[ColumnElement[bool]]:
    event = audit_events.c
    if query.before_id is not None:
        yield event.id < query.before_id
    if query.actor_id is not None:
        yield event.actor_id == query.actor_id
    if query.subject_id is not None:
        yield event.subject_id == query.subject_id
    if query.about_id is not None:
        yield or_(event.actor_id == query.about_id, event.subject_id == query.about_id)
    if query.action is not None:
        yield event.action == query.action
    if query.since is not None:
        yield event.at >= query.since
    if query.until is not None:
        yield event.at < query.until
