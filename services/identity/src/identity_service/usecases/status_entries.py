"""Give each access token an entry in a status list, and delete expired ones."""

from datetime import timedelta
from typing import Final

from identity_service.domain.errors import LostRaceError
from identity_service.domain.status_entries import Lease
from identity_service.storage.database import Database
from identity_service.storage.retries import retried
from identity_service.usecases.single_flight import SingleFlight
from service_kit.clock import Clock

_ATTEMPTS: Final = 5
"""Races for the next list are lost once a list at most."""

_BATCH: Final = 1000
"""Tokens deleted in one transaction."""

_KEPT_EXPIRED: Final = timedelta(minutes=5)
"""How long an expired token stays in its list: some verifier's clock may be slow."""


class StatusEntries:
    """Entries of status lists for new access tokens, none of them given twice.

    Positions are leased in blocks, so the database is asked once for many tokens. A
    process that dies loses its lease, and with it some entries that nobody uses.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._lease: Lease | None = None
        self._renewal = SingleFlight(self._renew)
        self.leases_taken = 0

    async def allocate(self) -> tuple[int, int]:
        """Return the list and the entry of a new token.

        Called outside of transactions: it may need one of its own.

        Raises
        ------
        DatabaseUnavailableError
            A lease is needed and can't be had.
        """
        while True:
            if self._lease is not None:
                place = self._lease.take(self._clock())
                if place is not None:
                    return place
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


class ExpiredTokens:
    """Deletes access tokens that no verifier accepts, and the lists they leave."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def prune(self) -> int:
        """Do a bounded part of the work; return how many tokens were deleted."""
        now = self._clock()
        forgotten = await self._database.write(
            lambda unit: unit.access_tokens.prune(now - _KEPT_EXPIRED, _BATCH)
        )
        await self._database.write(lambda unit: unit.status_lists.remove_closed(now))
        return forgotten
