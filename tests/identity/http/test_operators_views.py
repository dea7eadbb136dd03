"""What administrators see of the chain of audit events, the keys and the gateways."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlalchemy import update
from tests.support.database import connected
from tests.support.identity import (
    PASSWORD,
    IdentityClient,
    MovableClock,
    create_admin,
    identity_settings,
    running_identity,
)
from tests.support.ports import free_ports

from identity_service.gateways import Gateways
from identity_service.storage.tables import audit_events
from identity_service.usecases.audit import AuditChain, ChainVerification
from service_kit.clock import utc_now

STATUS: Final = {"requests": {"count": 3, "seconds": 0.5}, "upstreams": {}}


@pytest.fixture
async def gateway() -> AsyncIterator[TestServer]:
    """The internal port of a gateway, as far as its status goes."""

    async def status(_: web.Request) -> web.Response:
        server.asked += 1  # type: ignore[attr-defined]
        return web.json_response(STATUS)

    async def huge(_: web.Request) -> web.Response:
        return web.Response(body=b" " * 300_000)

    async def text(_: web.Request) -> web.Response:
        return web.Response(text="no JSON")

    async def number(_: web.Request) -> web.Response:
        return web.Response(text="1")

    app = web.Application()
    handlers = {"/status": status, "/huge": huge, "/text": text, "/number": number}
    app.add_routes([web.get(path, each) for path, each in handlers.items()])
    server = TestServer(app)
    server.asked = 0  # type: ignore[attr-defined]
    async with server:
        yield server


async def as_admin(identity: IdentityClient, path: str) -> Any:  # noqa: ANN401
    boss = (await identity.sign_in("boss")).json["accessToken"]
    answer = await identity.call("GET", path, boss)
    assert answer.status == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.json


async def test_a_changed_record_shows_in_the_verdict(
    identity: IdentityClient, database_url: str
) -> None:
    await create_admin(database_url)
    before = await as_admin(identity, "/api/audit/chain")
    async with connected(database_url) as engine, engine.begin() as connection:
        await connection.execute(
            update(audit_events).where(audit_events.c.id == 1).values(address="here")
        )
    again = await as_admin(identity, "/api/audit/chain")

    assert before["intact"] is True
    assert before["brokenAt"] is None
    assert before["events"] > 0
    assert len(before["lastHash"]) == 64
    assert again == before, "nobody has the chain followed twice in half a minute"


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(timedelta(seconds=31), id="later"),
        pytest.param(-timedelta(hours=1), id="clock that was ahead"),
    ],
)
async def test_a_verdict_is_renewed_and_names_the_first_changed_event(
    database_url: str, step: timedelta
) -> None:
    clock = MovableClock()
    settings = identity_settings(database_url)
    await create_admin(database_url)
    async with running_identity(settings, clock=clock) as identity:
        await as_admin(identity, "/api/audit/chain")
        async with connected(database_url) as engine, engine.begin() as connection:
            await connection.execute(
                update(audit_events)
                .where(audit_events.c.id == 1)
                .values(address="here")
            )
        clock.advance(step)
        verdict = await as_admin(identity, "/api/audit/chain")

    assert (verdict["intact"], verdict["brokenAt"]) == (False, 1)


async def test_a_long_chain_makes_nobody_wait_for_its_end() -> None:
    done = asyncio.Event()

    class LongChain:
        async def verify(self) -> ChainVerification:
            await done.wait()
            return ChainVerification(3, None, "last", utc_now())

    chain = AuditChain(LongChain(), MovableClock(), longest_wait=0.01)  # type: ignore[arg-type]
    first = await chain.verdict()
    done.set()
    await asyncio.sleep(0)
    second = await chain.verdict()

    assert first is None
    assert second is not None
    assert second.records == 3


async def test_keys_are_shown_with_their_schedule(
    identity: IdentityClient, database_url: str
) -> None:
    await create_admin(database_url)
    shown = await as_admin(identity, "/api/signing-keys")
    published = (await identity.send("GET", "/.well-known/jwks.json")).json["keys"]

    keys = {each["state"]: each for each in shown["keys"]}
    assert set(keys) == {"active", "next"}
    assert {each["kid"] for each in shown["keys"]} == {
        each["kid"] for each in published
    }
    assert keys["active"]["signsUntil"] == keys["next"]["signsFrom"]
    for key in keys.values():
        moments = [
            datetime.fromisoformat(key[name])
            for name in ("publishedAt", "signsFrom", "signsUntil", "unpublishedAt")
        ]
        assert moments == sorted(moments)
    assert "private" not in str(shown)


async def test_each_gateway_is_asked_once_a_second(
    database_url: str, gateway: TestServer
) -> None:
    (nobody,) = free_ports(1)
    urls = [str(gateway.make_url("/status")), f"http://127.0.0.1:{nobody}/status"]
    settings = identity_settings(
        database_url, IDENTITY_GATEWAY_STATUS_URLS=",".join(urls)
    )
    await create_admin(database_url)
    async with running_identity(settings) as identity:
        boss = (await identity.sign_in("boss", PASSWORD)).json["accessToken"]
        answers = await asyncio.gather(
            *(identity.call("GET", "/api/gateway", boss) for _ in range(5))
        )

    (answered, away) = answers[0].json["gateways"]
    assert (answered["reachable"], answered["status"]) == (True, STATUS)
    assert (away["reachable"], away["status"]) == (False, None)
    assert away["reason"] == "connection refused"
    assert gateway.asked == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/huge", "more than 262144 bytes"),
        ("/text", "its status is no JSON"),
        ("/number", "its status is no object"),
        ("/nothing", "status 404"),
    ],
)
async def test_a_gateway_that_says_nonsense_is_no_fault(
    gateway: TestServer, path: str, reason: str
) -> None:
    gateways = Gateways([str(gateway.make_url(path))])
    (said,) = await gateways.status()
    await gateways.close()

    assert (said.status, said.reason) == (None, reason)


async def test_no_gateway_is_no_fault(
    identity: IdentityClient, database_url: str
) -> None:
    await create_admin(database_url)
    assert await as_admin(identity, "/api/gateway") == {"gateways": []}
