"""Run one operation at a time for each session, however many are requested."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Final, TypeVar
from weakref import WeakValueDictionary

from identity_service.domain.errors import DatabaseUnavailableError
from identity_service.usecases.caching.single_flight import SingleFlight

TURN_SECONDS: Final = 2.5
"""The longest that a turn and the wait for it may take together."""

T = TypeVar("T")


class SessionTurns:
    """Work on sessions, of which each session has one piece at a time.

    So no session holds more than one connection to the database, and locks no row
    against itself. Who wants the same piece at the same time shares its outcome.
    """

    def __init__(self) -> None:
        self._flights: dict[Hashable, SingleFlight[Any]] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def share(
        self,
        session_id: str,
        piece: Hashable,
        work: Callable[[], Coroutine[Any, Any, T]],
    ) -> T:
        """Return what ``work`` returns, or raise what it raises, once it had its turn.

        ``piece`` names what is done: who says the same shares it.

        Raises `DatabaseUnavailableError`: what was asked before takes too long.
        """
        key = (session_id, piece)
        flight: SingleFlight[T] | None = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = SingleFlight(
                lambda: self._in_turn(key, session_id, work)
            )
        return await flight.join()

    async def _in_turn(
        self, key: Hashable, session_id: str, work: Callable[[], Coroutine[Any, Any, T]]
    ) -> T:
        lock = self._locks.setdefault(session_id, asyncio.Lock())
        try:
            async with asyncio.timeout(TURN_SECONDS), lock:
                return await work()
        except TimeoutError as error:
            raise DatabaseUnavailableError("its session is busy") from error
        finally:
            del self._flights[key]
