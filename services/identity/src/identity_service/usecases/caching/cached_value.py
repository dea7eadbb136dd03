"""Cache a value that is read elsewhere, in the database mostly, for a second."""

import contextlib
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, Generic, TypeVar

from identity_service.domain.errors import DatabaseUnavailableError
from identity_service.usecases.caching.single_flight import SingleFlight

MAX_AGE_SECONDS: Final = 1.0
"""How old a cached value may be, while the database responds."""

_RETRY_SECONDS: Final = 1.0
"""Between a read that failed and the next, even where ``max_age`` is shorter."""

T = TypeVar("T")


class CachedValue(Generic[T]):
    """A value that is read again when it is asked for after ``max_age`` seconds.

    ``read`` gets the present value, None at first. While the database is away the
    present value stands, and the database is asked once a second whether it is back.
    """

    def __init__(
        self,
        read: Callable[[T | None], Coroutine[Any, Any, T]],
        monotonic: Callable[[], float] = time.monotonic,
        *,
        max_age: float = MAX_AGE_SECONDS,
    ) -> None:
        self._read = read
        self._monotonic = monotonic
        self._max_age = max_age
        self._stands_until = 0.0
        self._reading = SingleFlight(self._renew)
        self.value: T | None = None

    async def get(self) -> T:
        """Return the value.

        Raises `DatabaseUnavailableError`: it was never read, and can't be now.
        """
        if self.value is not None and self._monotonic() < self._stands_until:
            return self.value
        try:
            return await self._reading.join()
        except DatabaseUnavailableError:
            if self.value is None:
                raise
            self._stands_until = self._monotonic() + _RETRY_SECONDS
            return self.value

    async def renewed(self) -> T:
        """Return the value, read no earlier than now.

        Raises `DatabaseUnavailableError`: it can't be read; the present value stands.
        """
        if self._reading.is_under_way:
            with contextlib.suppress(DatabaseUnavailableError):
                await self._reading.join()
        return await self._reading.join()

    async def _renew(self) -> T:
        begun_at = self._monotonic()
        value = await self._read(self.value)
        self.value, self._stands_until = value, begun_at + self._max_age
        return value
