"""Status lists in the database: which there are, and what is revoked in them."""

import os
from datetime import datetime
from typing import Final

from sqlalchemy import delete, exists, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from identity_service.domain.errors import LostRaceError
from identity_service.domain.status_entries import (
    CLOSING_TIME,
    LEASE_LIFETIME,
    LEASE_SIZE,
    LIST_SIZE,
    Lease,
)
from identity_service.storage.tables import access_tokens, status_lists

_KEY_SIZE: Final = 32


class StatusListRepository:
    """Status lists, within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def lease(self, now: datetime) -> Lease:
        """Take positions that nobody else has or will have.

        One atomic statement takes them, and what is taken is never given back. Only
        when the newest list is full is there another.

        Raises
        ------
        LostRaceError
            Another process has begun the next list.
        """
        newest = await self._connection.scalar(select(func.max(status_lists.c.id)))
        if newest is not None:
            lease = await self._lease_of(newest, now)
            if lease is not None:
                return lease
        return await self._begin((newest or 0) + 1, now)

    async def _lease_of(self, list_id: int, now: datetime) -> Lease | None:
        taken = await self._connection.execute(
            update(status_lists)
            .where(
                status_lists.c.id == list_id,
                status_lists.c.leased <= LIST_SIZE - LEASE_SIZE,
            )
            .values(leased=status_lists.c.leased + LEASE_SIZE)
        )
        if taken.rowcount != 1:
            return None
        rows = await self._connection.execute(
            select(status_lists.c.leased, status_lists.c.permutation_key).where(
                status_lists.c.id == list_id
            )
        )
        end, key = rows.one()
        return Lease(list_id, key, end - LEASE_SIZE, end, now + LEASE_LIFETIME)

    async def _begin(self, list_id: int, now: datetime) -> Lease:
        key = os.urandom(_KEY_SIZE)
        try:
            await self._connection.execute(
                insert(status_lists).values(
                    id=list_id, leased=LEASE_SIZE, permutation_key=key, created_at=now
                )
            )
        except IntegrityError as error:
            raise LostRaceError from error
        return Lease(list_id, key, 0, LEASE_SIZE, now + LEASE_LIFETIME)

    async def ids(self) -> list[int]:
        """Return the ids of all lists, oldest first."""
        found = await self._connection.scalars(
            select(status_lists.c.id).order_by(status_lists.c.id)
        )
        return list(found)

    async def revoked(self, list_id: int) -> frozenset[int]:
        """Return the entries of the list whose tokens are revoked."""
        found = await self._connection.scalars(
            select(access_tokens.c.idx).where(
                access_tokens.c.list_id == list_id,
                access_tokens.c.revoked_at.is_not(None),
            )
        )
        return frozenset(found)

    async def revision(self, list_id: int) -> tuple[object, ...]:
        """Return what is another after each revocation, and costs less to read."""
        found = await self._connection.execute(
            select(func.count(), func.max(access_tokens.c.revoked_at)).where(
                access_tokens.c.list_id == list_id,
                access_tokens.c.revoked_at.is_not(None),
            )
        )
        return tuple(found.one())

    async def remove_closed(self, now: datetime) -> int:
        """Remove the lists that hold no token and will get none; return how many."""
        successors = status_lists.alias()
        closed = await self._connection.scalars(
            select(status_lists.c.id).where(
                exists().where(
                    successors.c.id == status_lists.c.id + 1,
                    successors.c.created_at < now - CLOSING_TIME,
                ),
                ~exists().where(access_tokens.c.list_id == status_lists.c.id),
            )
        )
        ids = closed.all()
        if ids:
            await self._connection.execute(
                delete(status_lists).where(status_lists.c.id.in_(ids))
            )
        return len(ids)
