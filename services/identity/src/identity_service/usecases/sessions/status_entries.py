"""Give out entries of status lists, each once."""

from typing import Final

from identity_service.domain.errors import LostRaceError
from identity_service.domain.sessions.status_entries import Lease, StatusEntry
from identity_service.storage.database import Database
from identity_service.storage.retries import retried
from identity_service.usecases.caching.single_flight import SingleFlight
from service_kit.clock import Clock

_ATTEMPTS: Final = 5
"""Races for the next list are lost once a list at most."""


class StatusEntries:
    """Entries of status lists for new sessions, none of them given twice.

    Positions are leased in blocks, so the database is asked once for many. A
    process that dies loses its lease, and with it some unused entries.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._lease: Lease | None = None
        self._renewal = SingleFlight(self._renew)
        self.leases_taken = 0

    async def allocate(self) -> StatusEntry:
        """Return the entry of a new session.

        Called outside of transactions: it may need one of its own.

        Raises `DatabaseUnavailableError`: a lease is needed and can't be had.
        """
        while True:
            if self._lease is not None:
                entry = self._lease.take(self._clock())
                if entry is not None:
                    return entry
            await self._renewal.join()

    def left(self) -> int:
        """Return how many entries this process can give without the database."""
        return 0 if self._lease is None else self._lease.left(self._clock())

    async def _renew(self) -> None:
        self._lease = await retried(
            self._lease_block, on=LostRaceError, attempts=_ATTEMPTS
        )
        self.leases_taken += 1

    async def _lease_block(self) -> Lease:
        return await self._database.write(
            lambda unit: unit.status_lists.lease(self._clock())
        )
