from datetime import timedelta

import pytest
from sqlalchemy import select
from tests.support.database import connected
from tests.support.identity import (
    AUDIT,
    OTHER_PASSWORD,
    PASSWORD,
    IdentityClient,
    MovableClock,
    create_admin,
    identity_settings,
    running_identity,
)

from identity_service.storage.tables import audit_events


async def test_audit_is_for_administrators(identity: IdentityClient) -> None:
    user = await identity.signed_in("alice")
    assert (await identity.send("GET", AUDIT)).status == 401
    assert (await identity.call("GET", AUDIT, user["accessToken"])).status == 403


async def test_events_are_listed_newest_first(
    identity: IdentityClient, admin: str
) -> None:
    await identity.signed_in("alice")
    await identity.sign_in(
        "alice", "wrong", headers={"X-Request-Id": "from-the-gateway"}
    )
    answer = await identity.call("GET", AUDIT, admin)
    assert answer.headers["Cache-Control"] == "no-store"
    told = answer.json["events"]

    ids = [event["id"] for event in told]
    assert ids == sorted(ids, reverse=True)
    refused = told[0]
    assert refused["action"] == "session.sign_in_refused"
    assert refused["requestId"] == "from-the-gateway"
    assert refused["address"] == "127.0.0.1"
    assert refused["at"].endswith("Z")
    actions = {event["action"] for event in told}
    assert {
        "account.signed_up",
        "session.signed_in",
        "signing_key.activated",
        "signing_key.published",
    } <= actions


async def test_filters_narrow_and_combine(
    identity: IdentityClient, admin: str, clock: MovableClock
) -> None:
    alice = await identity.signed_in("alice")
    clock.advance(timedelta(minutes=10))
    await identity.sign_out(alice["refreshToken"])
    everything = await identity.events(admin)
    ended = everything[0]
    since = ended["at"]

    assert await identity.events(admin, action="session.ended") == [ended]
    assert await identity.events(admin, since=since) == [ended]
    assert await identity.events(admin, until=since) == everything[1:]
    of_alice = await identity.events(admin, subject=alice["id"])
    assert {event["subject"] for event in of_alice} == {alice["id"]}
    by_alice = await identity.events(admin, actor=alice["id"])
    assert {event["actor"] for event in by_alice} == {alice["id"]}
    assert await identity.events(admin, actor=alice["id"], action="session.ended") == [
        ended
    ]
    assert await identity.events(admin, action="no.such") == []


async def test_cursor_goes_through_everything_once(
    identity: IdentityClient, admin: str
) -> None:
    everything = await identity.events(admin)
    seen, cursor = [], None
    while True:
        query = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        answer = await identity.call("GET", AUDIT, admin, params=query)
        seen += answer.json["events"]
        await identity.sign_up(f"meanwhile{len(seen)}")
        cursor = answer.json["nextCursor"]
        if cursor is None:
            break
    assert seen == everything


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "limit=1&limit=2",
        "cursor=-1",
        "cursor=" + "9" * 40,
        "actor=alice",
        "actor=%D9%A1",
        "since=yesterday",
        "since=2026-01-01T00:00:00",
        "until=9999-12-31T23:59:59-23:00",
        "action=" + "x" * 300,
        "action=a%0d%0ab",
    ],
)
async def test_queries_that_mean_nothing_are_refused(
    identity: IdentityClient, admin: str, query: str
) -> None:
    answer = await identity.call("GET", f"{AUDIT}?{query}", admin)
    assert answer.status == 400, answer.text


async def test_no_secret_is_in_the_audit_log(
    identity: IdentityClient, admin: str, database_url: str
) -> None:
    alice = await identity.signed_in("alice")
    await identity.sign_in("alice", OTHER_PASSWORD)
    await identity.sign_in(PASSWORD, PASSWORD)
    spent = alice["refreshToken"]
    refreshed = (await identity.refresh(spent)).json
    again = (await identity.refresh(refreshed["refreshToken"])).json
    await identity.refresh(spent)

    async with connected(database_url) as engine, engine.connect() as connection:
        rows = await connection.execute(select(audit_events))
        stored = "\n".join(map(str, rows))
    secrets = [OTHER_PASSWORD, "$2b$", "alice@example.test", admin]
    for pair in (alice, refreshed, again):
        secrets += [pair["accessToken"], pair["refreshToken"]]
    assert [secret for secret in secrets if secret in stored] == []


@pytest.mark.parametrize(
    ("gateways", "counts"),
    [("127.0.0.1/32", True), ("10.0.0.0/8", False), ("::1/128", False)],
)
async def test_the_gateways_word_counts_and_a_clients_is_kept_as_its_own(
    database_url: str, gateways: str, *, counts: bool
) -> None:
    settings = identity_settings(database_url, IDENTITY_TRUSTED_PROXIES=gateways)
    said = {"X-Request-Id": "somebody-elses", "X-Forwarded-For": "203.0.113.9"}
    async with running_identity(settings) as identity:
        await create_admin(database_url)
        refused = await identity.sign_in("boss", "wrong", headers=said)
        odd = {"X-Request-Id": "no id"}
        await identity.sign_in("boss", "wrong", headers=odd)
        token = (await identity.sign_in("boss")).json["accessToken"]
        second, first = await identity.events(token, action="session.sign_in_refused")

    name = refused.headers["X-Request-Id"]
    assert (name == "somebody-elses") is counts
    assert first["requestId"] == name == refused.json["instance"]
    assert first["address"] == ("203.0.113.9" if counts else "127.0.0.1")
    kept = {} if counts else {"client_request_id": "somebody-elses"}
    assert first["details"] == kept
    assert second["details"] == {}
