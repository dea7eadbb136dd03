"""Show administrators whether the audit log is intact."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from identity_service.usecases.audit import Audit, ChainVerification
from identity_service.usecases.caching.single_flight import SingleFlight
from service_kit.clock import Clock

_FRESH: Final = timedelta(seconds=30)
"""How long a verdict is given again: following the chain makes sign-ins wait a bit."""

LONGEST_WAIT: Final = 3.0
"""Seconds in which a request waits for a verdict; a long chain takes longer."""


@dataclass(frozen=True, slots=True)
class ChainVerdict:
    """What following the chain has shown, and when."""

    verification: ChainVerification
    verified_at: datetime


class AuditChain:
    """Verifies the chain on request, once for all concurrent requests."""

    def __init__(
        self, audit: Audit, clock: Clock, *, longest_wait: float = LONGEST_WAIT
    ) -> None:
        self._longest_wait = longest_wait
        self._audit = audit
        self._clock = clock
        self._latest: ChainVerdict | None = None
        self._following = SingleFlight(self._follow)

    async def verdict(self) -> ChainVerdict | None:
        """Return a fresh verdict; None if the chain is still being followed."""
        latest = self._latest
        if latest is not None and abs(self._clock() - latest.verified_at) < _FRESH:
            return latest
        try:
            async with asyncio.timeout(self._longest_wait):
                return await self._following.join()
        except TimeoutError:
            return None

    async def _follow(self) -> ChainVerdict:
        verification = await self._audit.verify()
        self._latest = ChainVerdict(verification, self._clock())
        return self._latest
