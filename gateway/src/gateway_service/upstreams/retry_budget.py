"""A budget of retries for each upstream, so that they never become a storm."""

from typing import Final

from gateway_service.config.model import RetryConfig

RESERVE_SECONDS: Final = 10
"""How long unused retries are kept: a replica that dies fails many requests."""

RESERVE_REQUESTS: Final = 500
"""The recent requests whose share of retries is kept."""


class RetryBudget:
    """A bucket filled by requests and by time, emptied by retries."""

    __slots__ = ("_limit", "_per_second", "_share", "balance")

    def __init__(self, config: RetryConfig) -> None:
        self._share = config.share
        self._per_second = config.per_second
        self._limit = (
            config.per_second * RESERVE_SECONDS + config.share * RESERVE_REQUESTS
        )
        self.balance = self._limit
        """Retries that may be made now."""

    def deposit(self) -> None:
        """Count a request that is not a retry."""
        if self.balance < self._limit:
            self.balance += self._share

    def refill(self, seconds: float) -> None:
        """Add what is allowed in any case for the time that has passed."""
        self.balance = min(self._limit, self.balance + self._per_second * seconds)

    def withdraw(self) -> bool:
        """Take one retry, if the budget has one left."""
        if self.balance < 1:
            return False
        self.balance -= 1
        return True
