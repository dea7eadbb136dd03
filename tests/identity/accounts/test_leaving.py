import asyncio
from datetime import timedelta
from typing import Any

import pytest
from tests.support.identity import (
    Answer,
    IdentityClient,
    MovableClock,
    create_admin,
    identity_settings,
    running_identity,
)

from identity_service.composition import Services
from identity_service.storage.repositories import Repositories


async def leave(identity: IdentityClient, access_token: str) -> Answer:
    return await identity.call("DELETE", "/api/users/me", access_token)


async def prune(database_url: str, clock: MovableClock) -> int:
    async with Services(identity_settings(database_url), clock=clock) as services:
        return await services.accounts.departures.prune()


async def test_who_leaves_is_deleted_after_the_grace(
    identity: IdentityClient, clock: MovableClock, database_url: str
) -> None:
    user = await identity.signed_in("alice")
    answer = await leave(identity, user["accessToken"])
    assert answer.status == 200
    assert answer.json["deletedAt"]
    assert not await identity.is_accepted(user["accessToken"])

    clock.advance(timedelta(days=13))
    assert await prune(database_url, clock) == 0
    clock.advance(timedelta(days=1, seconds=1))
    assert await prune(database_url, clock) == 1

    assert (await identity.sign_in("alice")).status == 401
    assert (await identity.sign_up("alice")).status == 200


async def test_signing_in_within_the_grace_keeps_the_account(
    identity: IdentityClient, clock: MovableClock, database_url: str
) -> None:
    user = await identity.signed_in("alice")
    await leave(identity, user["accessToken"])
    clock.advance(timedelta(days=13))
    assert (await identity.sign_in("alice")).status == 200

    clock.advance(timedelta(days=2))
    assert await prune(database_url, clock) == 0
    assert (await identity.sign_in("alice")).status == 200


async def test_who_signs_in_while_accounts_are_deleted_keeps_theirs(
    identity: IdentityClient, clock: MovableClock, database_url: str
) -> None:
    user = await identity.signed_in("alice")
    await leave(identity, user["accessToken"])
    clock.advance(timedelta(days=14, seconds=1))
    is_kept = asyncio.Event()

    async def keep(unit: Repositories) -> None:
        """Do what a sign-in does, and commit when somebody waits for the lock."""
        await unit.users.lock(user["id"])
        await unit.users.set_deletion_due_at(user["id"], None)
        is_kept.set()
        await asyncio.sleep(0.3)

    async with Services(identity_settings(database_url), clock=clock) as services:
        keeping = asyncio.create_task(services.database.write(keep))
        await is_kept.wait()
        assert await prune(database_url, clock) == 0
        await keeping
    assert (await identity.sign_in("alice")).status == 200


async def test_leaving_asks_for_a_fresh_check(
    identity: IdentityClient, clock: MovableClock
) -> None:
    user = await identity.signed_in("alice")
    clock.advance(timedelta(minutes=11))
    answer = await leave(identity, user["accessToken"])
    assert answer.json["code"] == "fresh_check_required"


async def test_the_last_administrator_stays(
    identity: IdentityClient, admin: str
) -> None:
    answer = await leave(identity, admin)
    assert (answer.status, answer.json["code"]) == (409, "last_admin")


async def test_disabled_administrator_who_wanted_to_leave_is_deleted(
    identity: IdentityClient, clock: MovableClock, database_url: str, admin: str
) -> None:
    await create_admin(database_url, "dora")
    dora = (await identity.sign_in("dora")).json
    assert (await leave(identity, dora["accessToken"])).status == 200
    path, body = f"/api/users/{dora['id']}", {"disabled": True}
    assert (await identity.call("PATCH", path, admin, json=body)).status == 200

    clock.advance(timedelta(days=15))
    await prune(database_url, clock)

    assert (await identity.sign_up("dora")).status == 200


async def test_wish_that_cannot_be_granted_any_more_is_dropped_on_record(
    identity: IdentityClient, clock: MovableClock, database_url: str, admin: str
) -> None:
    """Two administrators wanted to leave, and one of them was the first to go."""
    await create_admin(database_url, "dora")
    dora = (await identity.sign_in("dora")).json
    for token in (dora["accessToken"], admin):
        assert (await leave(identity, token)).status == 200

    clock.advance(timedelta(days=15))
    assert [await prune(database_url, clock) for _ in range(3)] == [1, 1, 0]

    assert (await identity.sign_in("dora")).status == 401
    boss = (await identity.sign_in("boss")).json
    recorded = await identity.events(
        boss["accessToken"], action="account.deletion_cancelled"
    )
    assert [each["subject"] for each in recorded] == [boss["id"]]


async def test_without_a_grace_the_account_is_gone_at_once(database_url: str) -> None:
    settings = identity_settings(database_url, IDENTITY_DELETION_GRACE="0")
    async with running_identity(settings) as identity:
        user = await identity.signed_in("alice")
        answer = await leave(identity, user["accessToken"])
        assert answer.message == "Account deleted."
        assert (await identity.sign_up("alice")).status == 200


@pytest.fixture
async def exported(identity: IdentityClient) -> Any:  # noqa: ANN401 - parsed JSON
    user = await identity.signed_in("alice")
    await identity.sign_in("alice", "not the password")
    await identity.sign_out((await identity.sign_in("alice")).json["refreshToken"])
    await identity.signed_in("bob")
    answer = await identity.call("GET", "/api/users/me/export", user["accessToken"])
    assert answer.status == 200
    return answer.json


async def test_people_get_all_that_is_held_of_them(exported: Any) -> None:  # noqa: ANN401
    assert exported["user"]["email"] == "alice@example.test"
    assert exported["subject"]
    assert exported["passwordChangedAt"]
    over, current = exported["sessions"]
    assert (over["current"], current["current"]) == (False, True)
    assert over["endedAt"] is not None
    assert current["endedAt"] is None
    assert current["methods"] == ["pwd"]
    actions = {event["action"] for event in exported["events"]}
    assert {
        "account.signed_up",
        "session.signed_in",
        "session.sign_in_refused",
        "account.exported",
    } <= actions


async def test_people_get_no_address_of_an_administrator(
    identity: IdentityClient, admin: str
) -> None:
    user = await identity.signed_in("alice")
    headers = {"Authorization": f"Bearer {admin}", "X-Forwarded-For": "203.0.113.77"}
    path = f"/api/users/{user['id']}/sessions"
    assert (await identity.send("DELETE", path, headers=headers)).status == 200
    token = (await identity.sign_in("alice")).json["accessToken"]

    answer = await identity.call("GET", "/api/users/me/export", token)

    ended = [
        each for each in answer.json["events"] if each["action"] == "session.ended"
    ]
    assert [each["address"] for each in ended] == [""]
    assert "203.0.113.77" not in answer.text


async def test_people_get_nothing_of_others(exported: Any) -> None:  # noqa: ANN401
    mine = exported["user"]["id"]
    assert all(mine in (each["actor"], each["subject"]) for each in exported["events"])
    assert "bob" not in str(exported)
    assert "$hmac" not in str(exported)
