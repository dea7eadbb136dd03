"""Passkeys: registered, named, removed, used alone and as a second factor."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import update
from tests.support.authenticators import (
    BACKED_UP,
    MAY_BE_BACKED_UP,
    PRESENT,
    VERIFIED,
    Authenticator,
)
from tests.support.database import connected
from tests.support.factors import (
    PASSKEYS,
    challenge_of,
    registered,
    second_step,
    use_options,
)
from tests.support.identity import (
    Answer,
    IdentityClient,
    MovableClock,
    identity_settings,
    running_identity,
)
from tests.support.tokens import claims_of

from identity_service.domain.limits.throttling import SIGN_INS_OF_SOURCE
from identity_service.storage.tables import passkeys

SIGN_IN = "/api/auth/passkeys"


async def signed_in_by(identity: IdentityClient, device: Authenticator) -> Answer:
    credential = device.get(await use_options(identity))
    return await identity.send("POST", SIGN_IN, json={"credential": credential})


async def test_passkey_signs_in_without_a_username(identity: IdentityClient) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]
    device = Authenticator()
    made = await registered(identity, token, device, "My phone")
    assert made.status == 201, made.text
    assert made.json["name"] == "My phone"
    assert len(made.json["recoveryCodes"]) == 10

    for _ in range(2):
        answer = await signed_in_by(identity, device)
        assert answer.status == 200, answer.text
        assert answer.json["username"] == "alice"
        claims = claims_of(answer.json["accessToken"])
        assert (claims["amr"], claims["acr"]) == (["mfa", "pop", "user"], "aal2")


async def test_first_passkey_alone_ends_the_sessions_that_began_without(
    identity: IdentityClient,
) -> None:
    here = (await identity.signed_in("alice"))["accessToken"]
    there = (await identity.sign_in("alice")).json["accessToken"]
    device = Authenticator()
    await registered(identity, here, device)
    assert not await identity.is_accepted(there)

    strong = (await signed_in_by(identity, device)).json["accessToken"]
    await registered(identity, here, Authenticator())

    assert await identity.is_accepted(strong)


async def test_several_passkeys_are_listed_named_and_removed(
    identity: IdentityClient,
) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]
    phone = Authenticator(PRESENT | VERIFIED | MAY_BE_BACKED_UP | BACKED_UP)
    key = Authenticator()
    first = await registered(identity, token, phone, "Phone")
    second = await registered(identity, token, key, " Key ")
    assert second.json["recoveryCodes"] == []
    assert (await signed_in_by(identity, key)).status == 200

    listed = (await identity.call("GET", PASSKEYS, token)).json["passkeys"]
    assert [each["name"] for each in listed] == ["Phone", "Key"]
    assert [each["backedUp"] for each in listed] == [True, False]
    assert [each["lastUsedAt"] is None for each in listed] == [True, False]

    path = f"{PASSKEYS}/{second.json['id']}"
    renamed = await identity.call("PATCH", path, token, json={"name": "Blue key"})
    assert renamed.json["name"] == "Blue key"
    assert (await identity.call("DELETE", path, token)).status == 200
    assert (await identity.call("DELETE", path, token)).status == 404
    assert (await signed_in_by(identity, key)).status == 401
    assert (await signed_in_by(identity, phone)).status == 200

    last = f"{PASSKEYS}/{first.json['id']}"
    assert (await identity.call("DELETE", last, token)).status == 200
    factors = (await identity.call("GET", "/api/users/me/factors", token)).json
    assert factors == {"totp": False, "passkeys": 0, "recoveryCodesLeft": 0}
    assert (await identity.sign_in("alice")).status == 200


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("👩\u200d💻 iPad", 200),
        ("\u200b", 400),
        ("\ufe0f", 400),
        ("blue\x85key", 400),
        ("of Alice\u2028of Bob", 400),
        ("\u202eyek", 400),
    ],
    ids=ascii,
)
async def test_names_of_passkeys_can_be_seen_and_read_in_their_order(
    identity: IdentityClient, name: str, status: int
) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]
    made = await registered(identity, token, Authenticator())

    path = f"{PASSKEYS}/{made.json['id']}"
    renamed = await identity.call("PATCH", path, token, json={"name": name})

    assert renamed.status == status


async def test_a_name_that_an_older_version_took_is_shown(
    identity: IdentityClient, database_url: str
) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]
    await registered(identity, token, Authenticator())
    older = "\u202eyek\u200b"
    async with connected(database_url) as engine, engine.begin() as connection:
        await connection.execute(update(passkeys).values(name=older))

    listed = await identity.call("GET", PASSKEYS, token)
    export = await identity.call("GET", "/api/users/me/export", token)

    assert [each["name"] for each in listed.json["passkeys"]] == [older]
    assert [each["name"] for each in export.json["passkeys"]] == [older]


async def test_nobody_names_or_removes_what_is_anothers(
    identity: IdentityClient,
) -> None:
    alice = (await identity.signed_in("alice"))["accessToken"]
    bob = (await identity.signed_in("bob"))["accessToken"]
    made = await registered(identity, alice, Authenticator())
    path = f"{PASSKEYS}/{made.json['id']}"

    renamed = await identity.call("PATCH", path, bob, json={"name": "mine"})
    removed = await identity.call("DELETE", path, bob)

    assert (renamed.status, removed.status) == (404, 404)
    assert (await identity.call("GET", PASSKEYS, bob)).json == {"passkeys": []}


@pytest.mark.parametrize("flags", [PRESENT, PRESENT | VERIFIED])
async def test_passkey_is_a_second_factor_verified_or_not(
    identity: IdentityClient, flags: int
) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]
    device = Authenticator(flags)
    await registered(identity, token, device)
    first = await identity.sign_in("alice")
    assert first.json["factors"] == ["recovery_code", "passkey"]

    credential = device.get(await use_options(identity))
    second = await second_step(identity, first.json["challenge"], credential=credential)

    assert second.status == 200, second.text
    assert claims_of(second.json["accessToken"])["acr"] == "aal2"


async def test_lost_device_is_replaced_by_a_recovery_code(
    identity: IdentityClient,
) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]
    made = await registered(identity, token, Authenticator())

    challenge = await challenge_of(identity, "alice")
    code = made.json["recoveryCodes"][0]
    answer = await second_step(identity, challenge, code=code)

    assert answer.status == 200, answer.text
    path = f"{PASSKEYS}/{made.json['id']}"
    removed = await identity.call("DELETE", path, answer.json["accessToken"])
    assert removed.status == 200


async def test_registration_takes_a_fresh_check(
    identity: IdentityClient, clock: MovableClock
) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]
    clock.advance(timedelta(minutes=11))

    refused = await identity.call("POST", f"{PASSKEYS}/options", token)

    assert (refused.status, refused.json["code"]) == (403, "fresh_check_required")


async def test_one_use_begins_one_session_however_often_it_is_sent(
    identity: IdentityClient,
) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]
    device = Authenticator()
    await registered(identity, token, device)
    body = {"credential": device.get(await use_options(identity))}

    answers = await asyncio.gather(
        *(identity.send("POST", SIGN_IN, json=body) for _ in range(5))
    )

    assert sorted(each.status for each in answers) == [200, 401, 401, 401, 401]


async def test_disabled_user_is_refused_like_anybody(
    identity: IdentityClient, admin: str
) -> None:
    alice = await identity.signed_in("alice")
    device = Authenticator()
    await registered(identity, alice["accessToken"], device)
    body = {"disabled": True}
    await identity.call("PATCH", f"/api/users/{alice['id']}", admin, json=body)

    refused = await signed_in_by(identity, device)

    assert (refused.status, refused.json["code"]) == (401, "invalid_credentials")


async def test_most_passkeys_of_a_user(identity: IdentityClient) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]
    for _ in range(20):
        assert (await registered(identity, token, Authenticator())).status == 201

    refused = await identity.call("POST", f"{PASSKEYS}/options", token)

    assert (refused.status, refused.json["code"]) == (409, "too_many_passkeys")


async def test_p8_failures_at_an_address_keep_nobody_there_from_a_passkey(
    database_url: str, clock: MovableClock
) -> None:
    settings = identity_settings(database_url, IDENTITY_THROTTLE="on")
    async with running_identity(settings, clock=clock) as identity:
        token = (await identity.signed_in("alice"))["accessToken"]
        device = Authenticator()
        assert (await registered(identity, token, device)).status == 201
        for number in range(SIGN_INS_OF_SOURCE[0].amount):
            assert (await identity.sign_in(f"nobody {number}")).status == 401

        right = await signed_in_by(identity, device)
        made_up = {"credential": {"id": "AAEC", "rawId": "AAEC", "response": {}}}
        wrong = await identity.send("POST", SIGN_IN, json=made_up)

    assert (right.status, wrong.status) == (200, 429)
