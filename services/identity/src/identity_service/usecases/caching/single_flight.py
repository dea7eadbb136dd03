"""Let those who want the same thing at the same time share one effort."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Work of which there is never more than one going on.

    Callers that arrive while it runs get its outcome, good or bad, so a queue of
    waiters takes no longer than one of them. A caller that gives up does not stop the
    others.
    """

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._work = work
        self._flight: asyncio.Task[T] | None = None

    @property
    def is_under_way(self) -> bool:
        """Whether some of it is going on now."""
        return self._flight is not None

    async def join(self) -> T:
        """Return what the work returns, or raise what it raises."""
        if self._flight is None:
            self._flight = asyncio.create_task(self._work())
            self._flight.add_done_callback(self._land)
        return await asyncio.shield(self._flight)

    def _land(self, flight: asyncio.Task[T]) -> None:
        self._flight = None
        if not flight.cancelled():
            flight.exception()  # all waiters may have given up: it counts as seen
