"""Look for what would keep content from serving."""

import asyncio
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry

from content_service.app import create_app
from content_service.settings import Settings
from service_kit.health import Readiness

_LONGEST_SECONDS: Final = 6
"""One slow response of the issuer, and a little."""

_STEP_SECONDS: Final = 0.1


async def faults_after_start(settings: Settings) -> dict[str, str]:
    """Start the service without a port; return what keeps it from being ready."""
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
