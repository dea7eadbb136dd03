"""The content service on a free port of this process, trusting a small issuer."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from aiohttp import ClientResponse, ClientSession, web
from prometheus_client import CollectorRegistry
from tests.support.issuer import Issuer
from tests.support.waiting import until

from content_service.app import create_app
from content_service.settings import Settings
from service_kit.clock import Clock, utc_now
from service_kit.health import Readiness
from service_kit.running.server import app_runner
from service_kit.settings import read_settings


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str


@dataclass
class Content:
    """A running content service and a client of it."""

    port: int
    readiness: Readiness
    registry: CollectorRegistry
    http: ClientSession

    async def get(
        self,
        path: str = "/api/test/user",
        token: str | None = None,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        sent = dict(headers or {})
        if token is not None:
            sent["x-access-token"] = token
        url = f"http://127.0.0.1:{self.port}{path}"
        async with self.http.request(method, url, headers=sent) as response:
            return await _read(response)

    async def ready(self) -> bool:
        return not await self.readiness.faults()

    def metric(self, name: str) -> float:
        return self.registry.get_sample_value(f"content_{name}") or 0.0


async def _read(response: ClientResponse) -> Answer:
    return Answer(response.status, response.headers.copy(), await response.text())


def content_settings(issuer: Issuer, **settings: str) -> Settings:
    """Return settings of a service that trusts the issuer."""
    environ = {
        **issuer.settings(),
        "CONTENT_HOST": "127.0.0.1",
        "CONTENT_COOKIE_SECURE": "false",
        **settings,
    }
    return read_settings(Settings, environ)


@contextlib.asynccontextmanager
async def content(
    issuer: Issuer,
    *,
    clock: Clock = utc_now,
    wait: bool = True,
    **settings: str,
) -> AsyncIterator[Content]:
    """Run the service; unless told otherwise, wait until it is ready."""
    read = content_settings(issuer, **settings)
    readiness, registry = Readiness(), CollectorRegistry()
    app = create_app(read, readiness, registry, clock=clock)
    runner = app_runner(app, read)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        async with ClientSession() as http:
            running = Content(port, readiness, registry, http)
            if wait:
                await until(lambda: running.metric("verification_keys"))
                await until(lambda: running.metric("status_list_fetches_total"))
            yield running
    finally:
        await runner.cleanup()
