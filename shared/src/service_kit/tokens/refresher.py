"""Keep one remote document fresh, without ever asking for it twice at a time."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Final

from service_kit.cancelling import cancelled
from service_kit.observability.request_id import leave_request

_BURST: Final = 3
_REFILL_SECONDS: Final = 1.5
"""Refreshes out of turn that are granted at once, and how soon another one is. Short
enough that a new key is found within two seconds of its first use while somebody floods
us with made-up ones; long enough that the issuer hardly notices the flood."""

_MAX_WAITING: Final = 1024
"""Requests that may wait for a refresh; each holds some kilobytes."""

_WAIT_SECONDS: Final = 0.8
"""How long one waits at most: a hostile token must not hold a request for long."""

_deadline: Final[ContextVar[float | None]] = ContextVar("deadline", default=None)
"""By the monotonic clock, where several waits have one."""

_FIRST_RETRY: Final = timedelta(milliseconds=200)
_AFTER_PUSH_SECONDS: Final = 2.0
"""From the start of a push that broke off to the next refresh at least."""

_JITTER: Final = 0.1
"""Replicas that started together drift apart by up to a tenth."""

_logger: Final = logging.getLogger(__name__)


@contextmanager
def one_deadline() -> Iterator[None]:
    """Have all waits for refreshes within end together, as early as one would alone."""
    if _deadline.get() is not None:
        yield
        return
    token = _deadline.set(time.monotonic() + _WAIT_SECONDS)
    try:
        yield
    finally:
        _deadline.reset(token)


class Refresher:
    """One task that refreshes something when it is due, and sooner when it is wanted.

    ``refresh`` does it once and returns how long the result is fresh; whatever it
    raises counts as a failure. ``retry_delay`` returns the longest pause after one.
    ``follow`` refreshes it whenever it changes, while the server waits for changes;
    until it ends nothing is due. If it raises, a refresh is due; if it returns, the
    next one is due as usual.
    """

    def __init__(
        self,
        name: str,
        refresh: Callable[[], Awaitable[timedelta]],
        *,
        retry_delay: Callable[[], timedelta],
        follow: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.failures = 0
        self.failing = 0
        """Failures since the last success."""
        self._name = name
        self._refresh = refresh
        self._retry_delay = retry_delay
        self._follow = follow
        self._budget = _Budget()
        self._wanted = asyncio.Event()
        self._waiting = 0
        self._in_flight: asyncio.Future[None] | None = None
        self._round: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start refreshing."""
        self._task = asyncio.create_task(self._run(), name=f"refresh {self._name}")

    async def stop(self) -> None:
        """Stop refreshing."""
        if self._task is not None:
            await cancelled(self._task)
        if self._round is not None:
            self._round.cancel()

    async def current(self) -> bool:
        """Wait briefly for a refresh in flight; return whether none is left."""
        if self._in_flight is not None:
            await self._wait_for(self._in_flight)
        return self._in_flight is None

    async def next(self) -> None:
        """Ask for a refresh out of turn, and wait until it has ended, well or badly.

        While refreshing fails none is asked for. Nobody waits long, and not at all
        while too many wait already, or while the budget allows no refresh at once: it
        begins then when the budget allows it.
        """
        if self.failing:
            return
        if self._round is None:
            self._round = asyncio.get_running_loop().create_future()
        self._wanted.set()
        if not self._budget.is_spent:
            await self._wait_for(self._round)

    async def _wait_for(self, ended: asyncio.Future[None]) -> None:
        deadline = _deadline.get()
        left = _WAIT_SECONDS if deadline is None else deadline - time.monotonic()
        if self._waiting >= _MAX_WAITING or left <= 0:
            return
        self._waiting += 1
        try:
            await asyncio.wait((ended,), timeout=left)
        finally:
            self._waiting -= 1

    async def _run(self) -> None:
        leave_request()
        while True:
            self._wanted.clear()
            ended = self._round or asyncio.get_running_loop().create_future()
            self._in_flight, self._round = ended, None
            delay = await self._attempt()
            self._in_flight = None
            ended.set_result(None)
            await self._pause(delay.total_seconds())

    async def _attempt(self) -> timedelta:
        """Refresh once; return how long to pause then."""
        try:
            delay = await self._refresh()
        except Exception as error:  # noqa: BLE001 - the loop must outlive any failure
            self.failures += 1
            self.failing += 1
            _logger.warning(
                "refresh_failed",
                extra={"document": self._name, "reason": str(error) or repr(error)},
            )
            backed_off = _FIRST_RETRY * (1 << min(self.failing - 1, 10))
            return min(backed_off, self._retry_delay())
        self.failing = 0
        return delay * (1 + random.uniform(0, _JITTER))  # noqa: S311 - not a secret

    async def _pause(self, seconds: float) -> None:
        """Wait until a refresh is due, or wanted and granted."""
        waits = [
            asyncio.create_task(self._until_due(seconds)),
            asyncio.create_task(self._until_granted()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def _until_granted(self) -> None:
        await self._wanted.wait()
        await asyncio.sleep(self._budget.delay())

    async def _until_due(self, seconds: float) -> None:
        if self._follow is None or self.failing:
            await asyncio.sleep(seconds)
            return
        begun_at = time.monotonic()
        try:
            await self._follow()
        except Exception as error:  # noqa: BLE001 - the loop must outlive any failure
            _logger.info(
                "push_ended",
                extra={"document": self._name, "reason": str(error) or repr(error)},
            )
            await asyncio.sleep(begun_at + _AFTER_PUSH_SECONDS - time.monotonic())
        else:
            await asyncio.sleep(seconds)


class _Budget:
    """A token bucket: a burst, then one at a time."""

    def __init__(self) -> None:
        self._spent_until = 0.0

    @property
    def is_spent(self) -> bool:
        """Whether one would have to be waited for."""
        return self._spent_until > time.monotonic()

    def delay(self) -> float:
        """Take one; return the seconds until it is there."""
        now = time.monotonic()
        earliest = now - (_BURST - 1) * _REFILL_SECONDS
        granted_at = max(self._spent_until, earliest)
        self._spent_until = granted_at + _REFILL_SECONDS
        return max(0.0, granted_at - now)
