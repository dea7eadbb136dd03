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
    ``{name}_back``.
    """

    def __init__(self, name: str, *, timeout: float, now: Callable[[], float]) -> None:
        self._name = name
        self._timeout = timeout
        self._now = now
        self._retry_at = 0.0
        self.is_away = False
        """Whether the last question to the store failed."""

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
            if not self.is_away:
                event = f"{self._name}_away"
                _logger.warning(event, extra={"error": type(error).__name__})
            self.is_away = True
            return await alone()
        if self.is_away:
            _logger.info(f"{self._name}_back")  # noqa: G004 - a name of the code's
        self.is_away = False
        return result
