"""Look for what would keep content from serving."""

import asyncio
from typing import Final

from prometheus_client import CollectorRegistry

from content_service.app import content_server
from content_service.settings import Settings
from service_kit.health import Readiness

_PATIENCE_SECONDS: Final = 6
"""One slow answer of the issuer, and a little."""

_STEP_SECONDS: Final = 0.1


async def faults_after_start(settings: Settings) -> dict[str, str]:
    """Start the service without a port; return what keeps it from being ready."""
    readiness = Readiness()
    async with content_server(settings, readiness, CollectorRegistry()):
        for _ in range(round(_PATIENCE_SECONDS / _STEP_SECONDS)):
            if not await readiness.faults():
                break
            await asyncio.sleep(_STEP_SECONDS)
        return await readiness.faults()
