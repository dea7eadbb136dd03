"""Do again what a race or a deadlock has undone."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def retried(
    work: Callable[[], Awaitable[T]], *, on: type[Exception], attempts: int
) -> T:
    """Return what ``work`` returns, doing it again after a pause if it raises ``on``.

    What the last attempt raises is raised.
    """
    for attempt in range(1, attempts):
        try:
            return await work()
        except on:
            await asyncio.sleep(random.uniform(0.005, 0.05) * attempt)  # noqa: S311
    return await work()
