"""Record who did what, and verify that the log has not been changed."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from identity_service.domain.audit import AuditHead, AuditQuery, AuditRecord
from identity_service.storage.database import Database
from identity_service.storage.repositories import Repositories
from identity_service.usecases.caching.single_flight import SingleFlight
from service_kit.clock import Clock

_BATCH: Final = 500
"""Records read or removed in one transaction, while appending waits."""

_FRESH: Final = timedelta(seconds=30)
"""How long a verdict is given again: following the chain makes sign-ins wait a bit."""

LONGEST_WAIT: Final = 3.0
"""Seconds in which a request waits for a verdict; a long chain takes longer."""


@dataclass(frozen=True, slots=True)
class ChainVerification:
    """The result of verifying the chain from start to end."""

    records: int
    broken_at: int | None
    """The id of the first record that is changed, missing or out of place."""
    last_hash: str
    """Keep a copy elsewhere: rewriting the whole chain changes it."""
    verified_at: datetime

    @property
    def is_intact(self) -> bool:
        """Whether nobody has changed the log."""
        return self.broken_at is None


@dataclass(frozen=True, slots=True)
class Audit:
    """The audit log of the system, which removes what is beyond retention."""

    database: Database
    clock: Clock
    retention: timedelta

    async def search(self, query: AuditQuery) -> list[AuditRecord]:
        """Return the records that match, newest first."""
        return await self.database.read(lambda unit: unit.audit.search(query))

    async def verify(self) -> ChainVerification:
        """Follow the chain from its start to its end."""
        seen, last_id, last_hash = 0, 0, None
        while True:
            head, records = await self._read_locked(last_id)
            for record in records:
                if not _follows(record, last_hash, head):
                    return self._verified(seen, record.id, head)
                seen, last_id, last_hash = seen + 1, record.id, record.hash
            if len(records) < _BATCH:
                break
        end = head.first_previous_hash if last_hash is None else last_hash
        is_whole = end == head.last_hash
        return self._verified(seen, None if is_whole else head.last_event_id, head)

    async def backlog(self) -> timedelta:
        """Return for how long the oldest event has been beyond retention."""
        oldest = await self.database.read(lambda unit: unit.audit.after(0, 1))
        due_before = self.clock() - self.retention
        ages = [due_before - record.at for record in oldest]
        return max([timedelta(), *ages])

    async def prune(self) -> int:
        """Remove some events beyond retention, oldest first; return how many."""
        now = self.clock()

        async def work(unit: Repositories) -> int:
            await unit.audit.lock_head()
            expired = _expired(await unit.audit.after(0, _BATCH), now, self.retention)
            if expired:
                await unit.audit.remove_up_to(expired[-1])
            return len(expired)

        return await self.database.write(work)

    def _verified(
        self, records: int, broken_at: int | None, head: AuditHead
    ) -> ChainVerification:
        return ChainVerification(records, broken_at, head.last_hash, self.clock())

    async def _read_locked(self, after_id: int) -> tuple[AuditHead, list[AuditRecord]]:
        """Return a batch and the head, locked against appending."""

        async def work(unit: Repositories) -> tuple[AuditHead, list[AuditRecord]]:
            head = await unit.audit.lock_head()
            return head, await unit.audit.after(after_id, _BATCH)

        return await self.database.write(work)


def _expired(
    oldest: Sequence[AuditRecord], now: datetime, retention: timedelta
) -> Sequence[AuditRecord]:
    """Return those at the start that are beyond retention.

    One from the future, when a clock was wrong, is as old as the next of the past.
    """
    expired = 0
    for count, record in enumerate(oldest, 1):
        if record.at < now - retention:
            expired = count
        elif record.at <= now:
            break
    return oldest[:expired]


def _follows(record: AuditRecord, last_hash: str | None, head: AuditHead) -> bool:
    """Return whether the record is unchanged and in its place.

    Pruning may remove what was next while the chain is followed, so the place after
    what was pruned is a right one, too.
    """
    places = {last_hash, head.first_previous_hash}
    return record.previous_hash in places and record.hash == record.expected_hash()


class AuditChain:
    """Verifies the chain on request, once for all concurrent requests."""

    def __init__(
        self, audit: Audit, clock: Clock, *, longest_wait: float = LONGEST_WAIT
    ) -> None:
        self._longest_wait = longest_wait
        self._audit = audit
        self._clock = clock
        self._latest: ChainVerification | None = None
        self._following = SingleFlight(self._follow)

    async def verdict(self) -> ChainVerification | None:
        """Return a fresh verdict; None if the chain is still being followed."""
        latest = self._latest
        if latest is not None and abs(self._clock() - latest.verified_at) < _FRESH:
            return latest
        try:
            async with asyncio.timeout(self._longest_wait):
                return await self._following.join()
        except TimeoutError:
            return None

    async def _follow(self) -> ChainVerification:
        self._latest = await self._audit.verify()
        return self._latest
