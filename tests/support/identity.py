"""Identity as tests run it: real HTTP, a real database, cheap password hashes."""

import asyncio
import base64
import contextlib
import itertools
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from aiohttp import ClientResponse, ClientSession, DummyCookieJar
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry
from tests.support.tokens import private_key

from identity_service.app import create_app
from identity_service.composition import Services
from identity_service.metrics.service import service_metrics
from identity_service.security.key_material import SigningKey
from identity_service.security.keyrings import Sealer
from identity_service.settings import Settings
from identity_service.usecases.keys.rotation import KeyRotation
from service_kit.clock import utc_now
from service_kit.health import Readiness
from service_kit.observability.metrics import Collected
from service_kit.settings import read_settings
from service_kit.tokens import thumbprint

ISSUER: Final = "http://identity.test"
PASSWORD: Final = "correct horse battery staple"
OTHER_PASSWORD: Final = "another long enough phrase"


def random_key() -> str:
    """Return a new key as settings hold it."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


KEYS: Final = {
    "IDENTITY_KEY_ENCRYPTION_KEYS": random_key(),
    "IDENTITY_PASSWORD_PEPPERS": random_key(),
}
"""Of this run; replicas share them."""


def identity_environment(database_url: str, **environ: str) -> dict[str, str]:
    """Return the settings of a process for tests, changed by what ``environ`` says."""
    return {
        "IDENTITY_DATABASE_URL": database_url,
        "IDENTITY_ISSUER": ISSUER,
        "IDENTITY_BCRYPT_COST": "4",
        "IDENTITY_THROTTLE": "off",
        "IDENTITY_COOKIE_SECURE": "false",
        **KEYS,
        **environ,
    }


def identity_settings(database_url: str, **environ: str) -> Settings:
    """Return settings for tests, changed by what ``environ`` says."""
    return read_settings(Settings, identity_environment(database_url, **environ))


@dataclass
class MovableClock:
    """A clock that runs, and that a test can put forward."""

    ahead: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def advance(self, by: timedelta) -> None:
        """Put the clock forward."""
        self.ahead += by


@dataclass
class Answer:
    """An answer that has been read."""

    status: int
    headers: Mapping[str, str]
    cookies: Mapping[str, Any]
    text: str
    json: Any

    @property
    def message(self) -> str:
        """What the tutorial's clients would show."""
        return str(self.json["message"])


AUDIT: Final = "/api/audit"
LISTS: Final = "/api/auth/statuslists"


class IdentityClient:
    """Speaks to identity over HTTP; keeps no cookies by itself."""

    def __init__(self, base_url: str, session: ClientSession) -> None:
        self.base_url = base_url
        self._session = session

    async def send(self, method: str, path: str, **options: Any) -> Answer:  # noqa: ANN401
        """Send a request and read the whole answer."""
        async with self._session.request(
            method, f"{self.base_url}{path}", **options
        ) as response:
            return await _read(response)

    async def sign_up(self, username: str, **members: Any) -> Answer:  # noqa: ANN401
        """Sign somebody up."""
        body = {
            "username": username,
            "email": f"{username}@example.test",
            "password": PASSWORD,
            **members,
        }
        return await self.send("POST", "/api/auth/signup", json=body)

    async def sign_in(
        self,
        username: str,
        password: str = PASSWORD,
        **options: Any,  # noqa: ANN401
    ) -> Answer:
        """Sign somebody in."""
        body = {"username": username, "password": password}
        return await self.send("POST", "/api/auth/signin", json=body, **options)

    async def refresh(self, refresh_token: object) -> Answer:
        """Use a refresh token."""
        return await self.send(
            "POST", "/api/auth/refreshtoken", json={"refreshToken": refresh_token}
        )

    async def sign_out(self, refresh_token: str) -> Answer:
        """Sign out by a refresh token."""
        return await self.send(
            "POST", "/api/auth/signout", json={"refreshToken": refresh_token}
        )

    async def call(
        self,
        method: str,
        path: str,
        access_token: str,
        **options: Any,  # noqa: ANN401
    ) -> Answer:
        """Send a request with an access token."""
        headers = {"Authorization": f"Bearer {access_token}"}
        return await self.send(method, path, headers=headers, **options)

    async def signed_in(self, username: str) -> Any:  # noqa: ANN401 - parsed JSON
        """Sign somebody up and in, and return what the answer says."""
        signed_up = await self.sign_up(username)
        assert signed_up.status == 200, signed_up.text
        answer = await self.sign_in(username)
        assert answer.status == 200, answer.text
        return answer.json

    async def events(self, admin: str, **query: Any) -> list[Any]:  # noqa: ANN401
        """Return what the audit log says to an administrator, newest first."""
        answer = await self.call("GET", AUDIT, admin, params=query)
        assert answer.status == 200, answer.text
        return list(answer.json["events"])

    async def is_accepted(self, access_token: str) -> bool:
        """Tell whether identity accepts an access token now."""
        answer = await self.call("GET", "/api/users/me", access_token)
        assert answer.status in {200, 401, 404}, answer.text
        return answer.status == 200


async def list_path(identity: IdentityClient) -> str:
    """Return where the one list is that there is."""
    async with asyncio.timeout(5):
        while True:
            uris = (await identity.send("GET", LISTS)).json["status_lists"]
            if uris:
                break
            await asyncio.sleep(0.1)
    (uri,) = uris
    return str(uri).removeprefix(ISSUER)


async def until_ready(readiness: Readiness, *, within: float = 20) -> None:
    """Wait until nothing stands against sending requests."""
    async with asyncio.timeout(within):
        while await readiness.faults():  # noqa: ASYNC110 - it is asked, as by probes
            await asyncio.sleep(0.02)


async def _read(response: ClientResponse) -> Answer:
    text = await response.text()
    is_json = "json" in response.content_type
    return Answer(
        status=response.status,
        headers=response.headers,
        cookies=response.cookies,
        text=text,
        json=await response.json(content_type=None) if is_json else None,
    )


@contextlib.asynccontextmanager
async def running_identity(
    settings: Settings,
    *,
    clock: MovableClock | None = None,
    readiness: Readiness | None = None,
) -> AsyncIterator[IdentityClient]:
    """Run identity on a port of its own, and wait until it is ready."""
    await give_signing_keys(settings)
    async with starting_identity(settings, clock=clock, readiness=readiness) as (
        client,
        asked,
    ):
        await until_ready(asked)
        yield client


def registry_of(services: Services) -> CollectorRegistry:
    """Return a registry of the metrics of services."""
    registry = CollectorRegistry()
    registry.register(Collected(lambda: service_metrics(services)))
    return registry


async def give_signing_keys(settings: Settings) -> None:
    """Give a database the two keys it starts with, if it has none.

    They are made once a run, because making one takes long.
    """
    async with Services(settings) as composed:
        rotation = KeyRotation(
            composed.database,
            composed.tokens.keys,
            sealer=Sealer(settings.key_encryption_keys),
            schedule=settings.key_schedule,
            clock=utc_now,
            generate=_ready_made_key,
        )
        while await rotation.advance() is not None:
            pass


async def create_admin(
    database_url: str, username: str = "boss", *, temporary: bool = False
) -> None:
    """Create an administrator, as the command does."""
    async with Services(identity_settings(database_url)) as composed:
        await composed.sign_ups.create_admin(
            username, f"{username}@example.test", PASSWORD, temporary=temporary
        )


_made = itertools.count()


async def _ready_made_key() -> SigningKey:
    private = private_key(f"signing {next(_made) % 2}")
    return SigningKey(thumbprint(private.public_key()), private)


@contextlib.asynccontextmanager
async def starting_identity(
    settings: Settings,
    *,
    clock: MovableClock | None = None,
    readiness: Readiness | None = None,
) -> AsyncIterator[tuple[IdentityClient, Readiness]]:
    """Run identity on a port of its own, ready or not."""
    readiness = readiness or Readiness()
    app = create_app(settings, clock=clock or MovableClock(), readiness=readiness)
    server = TestServer(app)
    await server.start_server()
    session = ClientSession(cookie_jar=DummyCookieJar())
    try:
        yield IdentityClient(str(server.make_url("")).rstrip("/"), session), readiness
    finally:
        await session.close()
        await server.close()
