"""Whatever is refused for being wrong, spent, expired or another's is recorded."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.authenticators import Authenticator
from tests.support.factors import (
    PASSKEYS,
    TOTP,
    challenge_of,
    code_at,
    enrolled,
    second_step,
)
from tests.support.identity import (
    OTHER_PASSWORD,
    PASSWORD,
    IdentityClient,
    MovableClock,
    create_admin,
    identity_settings,
    running_identity,
)
from tests.support.mail_server import running_mail_server

AT_ONCE = 6


async def recorded(
    identity: IdentityClient, database_url: str, action: str
) -> list[Any]:
    """Return the events of an action."""
    await create_admin(database_url)
    admin = (await identity.sign_in("boss")).json["accessToken"]
    return await identity.events(admin, action=action)


@pytest.mark.parametrize("session", ["its own", "another's"])
async def test_passkey_registered_again(
    identity: IdentityClient, database_url: str, session: str
) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]
    second = (await identity.signed_in("mallory"))["accessToken"]
    options = (await identity.call("POST", f"{PASSKEYS}/options", token)).json
    body = {"credential": Authenticator().create(options)}
    assert (await identity.call("POST", PASSKEYS, token, json=body)).status == 201
    presenting = token if session == "its own" else second

    refused = await identity.call("POST", PASSKEYS, presenting, json=body)

    assert (refused.status, refused.json["code"]) == (400, "wrong_proof")
    assert len(await recorded(identity, database_url, "factor.passkey_refused")) == 1


async def test_code_that_confirms_no_app(
    identity: IdentityClient, database_url: str, clock: MovableClock
) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]
    secret = (await identity.call("POST", TOTP, token)).json["secret"]
    late = code_at(secret, clock() - timedelta(hours=1))
    good = code_at(secret, clock())

    answers = [
        await identity.call("POST", f"{TOTP}/confirm", token, json={"code": code})
        for code in (late, good, good)
    ]

    assert [each.status for each in answers] == [400, 200, 400]
    assert len(await recorded(identity, database_url, "factor.totp_refused")) == 2


@pytest.mark.parametrize("wrong", ["expired", "made up"])
async def test_challenge_of_a_second_step(
    identity: IdentityClient, database_url: str, clock: MovableClock, wrong: str
) -> None:
    user = await enrolled(identity, clock)
    challenge = await challenge_of(identity, "alice")
    if wrong == "expired":
        clock.advance(timedelta(minutes=5))
    else:
        challenge = "A" * len(challenge)

    refused = await second_step(identity, challenge, code=user.next_code(clock))

    assert (refused.status, refused.json["code"]) == (401, "invalid_credentials")
    events = await recorded(identity, database_url, "session.second_factor_refused")
    assert [each["address"] for each in events] == ["127.0.0.1"]


async def test_challenges_that_are_made_up_are_counted(database_url: str) -> None:
    settings = identity_settings(database_url, IDENTITY_THROTTLE="on")
    async with running_identity(settings) as identity:
        statuses = [
            (await second_step(identity, "AAAA", code="123456")).status
            for _ in range(61)
        ]

    assert statuses == [401] * 60 + [429]


async def test_password_that_was_changed_meanwhile(
    identity: IdentityClient, database_url: str
) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]

    answers = await asyncio.gather(
        *(
            identity.call(
                "POST",
                "/api/users/me/password",
                token,
                json={
                    "currentPassword": PASSWORD,
                    "newPassword": f"{OTHER_PASSWORD}{n}",
                },
            )
            for n in range(AT_ONCE)
        )
    )

    assert sorted(each.status for each in answers) == [200] + [400] * (AT_ONCE - 1)
    events = await recorded(identity, database_url, "account.password_refused")
    assert len(events) == AT_ONCE - 1


@pytest.fixture
async def token(
    database_url: str, tmp_path: Path
) -> AsyncIterator[tuple[IdentityClient, str]]:
    """Identity with mail, and the token with which alice may reset her password."""
    async with running_mail_server(tmp_path) as server:
        settings = identity_settings(database_url, IDENTITY_MAIL_URL=server.url)
        async with running_identity(settings) as identity:
            await identity.sign_up("alice")
            address = "alice@example.test"
            path = "/api/auth/password-reset"
            await identity.send("POST", path, json={"email": address})
            yield identity, (await server.next_to(address)).token


async def test_token_that_was_spent_meanwhile(
    token: tuple[IdentityClient, str], database_url: str
) -> None:
    identity, value = token
    path = "/api/auth/password-reset/confirm"

    answers = await asyncio.gather(
        *(
            identity.send(
                "POST", path, json={"token": value, "password": f"{OTHER_PASSWORD}{n}"}
            )
            for n in range(AT_ONCE)
        )
    )

    assert sorted(each.status for each in answers) == [200] + [400] * (AT_ONCE - 1)
    events = await recorded(identity, database_url, "account.token_refused")
    assert len(events) == AT_ONCE - 1
    (reset,) = await recorded(identity, database_url, "account.password_reset")
    # None where the token was gone before it was looked for.
    assert reset["subject"] in {each.get("subject") for each in events}
