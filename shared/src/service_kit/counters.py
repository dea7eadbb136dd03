"""Count in a store that replicas share, and fall back while it is unavailable."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

T = TypeVar("T")

RETRY_SECONDS: Final = 1.0
"""How long a store that failed is left alone."""

_logger: Final = logging.getLogger(__name__)


class SharedStore:
    """Asks a shared store, or its substitute while it is unavailable.

    After a failure one question a second tries the store again; the others do not wait
    for that. ``name`` begins the events that are logged: ``{name}_away`` and
    ``{name}_back``. ``describe`` says what an error means, without a secret.
    """

    def __init__(
        self,
        name: str,
        *,
        timeout: float,
        now: Callable[[], float],
        describe: Callable[[Exception], str] = lambda error: type(error).__name__,
    ) -> None:
        self._name = name
        self._timeout = timeout
        self._now = now
        self._describe = describe
        self._retry_at = 0.0
        self.fault: str | None = None
        """Why the last question to the store failed, None if it did not."""

    @property
    def is_away(self) -> bool:
        """Whether the last question to the store failed."""
        return self.fault is not None

    async def ask(
        self, shared: Callable[[], Awaitable[T]], alone: Callable[[], Awaitable[T]]
    ) -> T:
        """Return the result of the store, or of its substitute."""
        if self.is_away:
            if self._now() < self._retry_at:
                return await alone()
            self._retry_at = self._now() + RETRY_SECONDS
        try:
            async with asyncio.timeout(self._timeout):
                result = await shared()
        except Exception as error:  # noqa: BLE001 - whatever it is, requests go on
            self._retry_at = self._now() + RETRY_SECONDS
            fault = self._describe(error)
            if not self.is_away:
                _logger.warning(f"{self._name}_away", extra={"error": fault})  # noqa: G004 - a name of the code's
            self.fault = fault
            return await alone()
        if self.is_away:
            _logger.info(f"{self._name}_back")  # noqa: G004 - likewise
        self.fault = None
        return result
