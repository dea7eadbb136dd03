"""Wait for what happens in its own time."""

import asyncio
import time
from collections.abc import Callable


async def until(condition: Callable[[], object], seconds: float = 3) -> float:
    """Wait for a condition to hold; return how long it took."""
    began_at = time.monotonic()
    while not condition():
        assert time.monotonic() - began_at < seconds, "it took too long"
        await asyncio.sleep(0.01)
    return time.monotonic() - began_at
