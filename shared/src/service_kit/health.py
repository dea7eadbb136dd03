"""Whether a process should be sent requests."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

Check = Callable[[], Awaitable[str | None]]
"""Returns None when all is well, else the reason why not, in a few words."""

_CHECK_SECONDS: Final = 2
"""A check that takes longer has failed."""


class Readiness:
    """Whether this process should be sent requests."""

    def __init__(self) -> None:
        self.checks: dict[str, Check] = {}
        self.warnings: dict[str, Check] = {}
        """What the operator should fix, though requests may be sent."""
        self.draining = False

    async def faults(self) -> dict[str, str]:
        """Return the reasons not to send requests, by the check's name."""
        if self.draining:
            return {"process": "draining"}
        return await _reasons(self.checks)

    async def warned(self) -> dict[str, str]:
        """Return what to fix, by the check's name; it does not prevent readiness."""
        return await _reasons(self.warnings)


async def _reasons(checks: Mapping[str, Check]) -> dict[str, str]:
    found = await asyncio.gather(*map(_bounded, checks.values()))
    return {
        name: reason
        for name, reason in zip(checks, found, strict=True)
        if reason is not None
    }


async def _bounded(check: Check) -> str | None:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            return await check()
    except TimeoutError:
        return "no response in time"
