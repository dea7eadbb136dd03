"""Status lists in the database: which there are, and what is revoked in them."""

import os
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Final

from sqlalchemy import (
    String,
    case,
    cast,
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from identity_service.domain.errors import LostRaceError
from identity_service.domain.sessions.status_entries import (
    CLOSING_TIME,
    KEPT_EXPIRED,
    LEASE_LIFETIME,
    LEASE_SIZE,
    LIST_SIZE,
    Lease,
    StatusEntry,
    new_list_name,
)
from identity_service.storage.repository import Repository
from identity_service.storage.sessions.access_tokens import AccessTokenRepository
from identity_service.storage.tables import (
    access_tokens,
    revoked_entries,
    rollouts,
    sessions,
    status_lists,
)
from service_kit.clock import Clock

_KEY_SIZE: Final = 32

_CLOSED_AT_ONCE: Final = 10
"""Lists read in one transaction."""

_NAME: Final = func.coalesce(status_lists.c.name, cast(status_lists.c.id, String(22)))


class StatusListRepository(Repository):
    """Status lists, within one transaction."""

    def __init__(self, connection: AsyncConnection, clock: Clock) -> None:
        super().__init__(connection, clock)
        self._tokens = AccessTokenRepository(connection, clock)

    async def lease(self, now: datetime) -> Lease:
        """Lease positions that no other process has or will have.

        One atomic statement takes them, and what is taken is never given back. Only
        when the newest list is full is there another.

        Raises `LostRaceError`: another process has begun the next list.
        """
        expires_at, is_named = now + LEASE_LIFETIME, True
        rollout_ends_at = await self.rollout_ends_at(now)
        if rollout_ends_at is not None:
            expires_at, is_named = min(expires_at, rollout_ends_at), False
        # Both before the try: who begins the next list meanwhile takes its number.
        last, newest = await self._newest(is_named=is_named)
        if newest is not None:
            lease = await self._lease_of(newest, expires_at)
            if lease is not None:
                return lease
        return await self._begin((last or 0) + 1, now, expires_at, is_named=is_named)

    async def rollout_ends_at(self, now: datetime) -> datetime | None:
        """Return until when replicas of version 0003 may run, None if none do."""
        found = await self._connection.scalar(
            select(rollouts.c.ends_at).where(rollouts.c.ends_at > now)
        )
        return found if isinstance(found, datetime) else None

    async def _newest(self, *, is_named: bool) -> tuple[int | None, int | None]:
        """Return the number of the last list, and of the last with or without name."""
        number, name = status_lists.c.id, status_lists.c.name
        which = name.is_not(None) if is_named else name.is_(None)
        found = await self._connection.execute(
            select(func.max(number), func.max(case((which, number))))
        )
        last, newest = found.one()
        return last, newest

    async def _lease_of(self, list_id: int, expires_at: datetime) -> Lease | None:
        taken = await self._affects(
            update(status_lists)
            .where(
                status_lists.c.id == list_id,
                status_lists.c.leased <= LIST_SIZE - LEASE_SIZE,
            )
            .values(leased=status_lists.c.leased + LEASE_SIZE)
        )
        if not taken:
            return None
        rows = await self._connection.execute(
            select(_NAME, status_lists.c.leased, status_lists.c.permutation_key).where(
                status_lists.c.id == list_id
            )
        )
        name, end, key = rows.one()
        return Lease(name, key, end - LEASE_SIZE, end, expires_at)

    async def _begin(
        self, list_id: int, now: datetime, expires_at: datetime, *, is_named: bool
    ) -> Lease:
        key, name = os.urandom(_KEY_SIZE), new_list_name() if is_named else None
        try:
            await self._connection.execute(
                insert(status_lists).values(
                    id=list_id,
                    name=name,
                    leased=LEASE_SIZE,
                    permutation_key=key,
                    created_at=now,
                )
            )
        except IntegrityError as error:
            raise LostRaceError from error
        return Lease(name or str(list_id), key, 0, LEASE_SIZE, expires_at)

    async def names(self) -> list[str]:
        """Return the names of all lists, oldest first."""
        found = await self._connection.scalars(
            select(_NAME).order_by(status_lists.c.id)
        )
        return list(found)

    async def revoke(self, entries: Iterable[tuple[StatusEntry, datetime]]) -> None:
        """Revoke entries, each until no token has it any more."""
        rows = [
            {
                "status_list": entry.list_name,
                "idx": entry.idx,
                "until": until + KEPT_EXPIRED,
            }
            for entry, until in entries
        ]
        if rows:
            await self._connection.execute(insert(revoked_entries), rows)

    async def revoked(self, name: str) -> frozenset[int]:
        """Return the entries of the list that are revoked."""
        found = await self._connection.scalars(
            select(revoked_entries.c.idx).where(revoked_entries.c.status_list == name)
        )
        number = StatusEntry(name, 0).list_number
        if number is None:
            return frozenset(found)
        return frozenset(found) | await self._tokens.revoked(number)

    async def revisions(self, names: Collection[str]) -> dict[str, tuple[object, ...]]:
        """Return what is another after each revocation in a list, and costs less."""
        found = await self._connection.execute(
            select(
                revoked_entries.c.status_list,
                func.count(),
                func.sum(revoked_entries.c.idx),
                func.max(revoked_entries.c.until),
            )
            .where(revoked_entries.c.status_list.in_(names))
            .group_by(revoked_entries.c.status_list)
        )
        revisions: dict[str, tuple[object, ...]] = dict.fromkeys(names, ())
        revisions |= {name: tuple(revision) for name, *revision in found}
        for name in names:
            number = StatusEntry(name, 0).list_number
            if number is not None:
                revisions[name] += await self._tokens.revision(number)
        return revisions

    async def remove_closed(self, now: datetime) -> int:
        """Remove some lists that hold no entry and will get none; return how many."""
        newer = status_lists.alias()
        closed = await self._connection.execute(
            select(status_lists.c.id, _NAME)
            .where(
                exists().where(
                    newer.c.id > status_lists.c.id,
                    newer.c.created_at < now - CLOSING_TIME,
                )
            )
            .order_by(status_lists.c.id)
            .limit(_CLOSED_AT_ONCE)
        )
        unused = [
            id_ for id_, name in closed.all() if not await self._is_used(id_, name)
        ]
        if unused:
            await self._connection.execute(
                delete(status_lists).where(status_lists.c.id.in_(unused))
            )
        return len(unused)

    async def _is_used(self, list_id: int, name: str) -> bool:
        used = select(literal(1)).where(
            exists().where(sessions.c.status_list == name)
            | exists().where(revoked_entries.c.status_list == name)
            | exists().where(access_tokens.c.list_id == list_id)
        )
        return await self._connection.scalar(used) is not None
