"""Look for what would keep content from serving."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry

from content_service.app import create_app
from content_service.settings import Settings
from service_kit.doctor import Finding, fault
from service_kit.health import Readiness

_LONGEST_SECONDS: Final = 6
"""One slow response of the issuer, and a little."""

_STEP_SECONDS: Final = 0.1


async def diagnose(settings: Settings) -> AsyncIterator[Finding]:
    """Start the service without a port; yield what keeps it from being ready."""
    yield Finding("settings")
    faults = await _faults_after_start(settings)
    for name, text in faults.items():
        yield fault(name, text)
    if not faults:
        yield Finding("verification keys and status lists")


async def _faults_after_start(settings: Settings) -> dict[str, str]:
    readiness = Readiness()
    runner = web.AppRunner(create_app(settings, readiness, CollectorRegistry()))
    await runner.setup()
    try:
        for _ in range(round(_LONGEST_SECONDS / _STEP_SECONDS)):
            if not await readiness.faults():
                break
            await asyncio.sleep(_STEP_SECONDS)
        return await readiness.faults()
    finally:
        await runner.cleanup()
