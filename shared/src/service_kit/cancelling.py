"""Cancel tasks reliably."""

import asyncio
from typing import Any, Final

_INTERVAL: Final = 5.0
"""Seconds for what a cancelled task still has to do, before it is cancelled again."""


async def cancelled(task: asyncio.Task[Any], interval: float = _INTERVAL) -> None:
    """Cancel a task and wait until it has ended, with any outcome.

    It is cancelled again if it goes on: before Python 3.12 `asyncio.wait_for`, in which
    a database driver reads, forgets a cancellation that meets what it waits for.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait((task,), timeout=interval)
    if not task.cancelled():
        task.exception()  # it counts as seen
