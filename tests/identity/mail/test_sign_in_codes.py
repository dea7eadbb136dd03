import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

import pytest
from tests.support.identity import (
    Answer,
    IdentityClient,
    MovableClock,
    create_admin,
    identity_settings,
    running_identity,
)
from tests.support.mail_server import MailServer

from identity_service.settings import Settings
from service_kit.tokens import base64url

ALICE: Final = "alice@example.test"
BOB: Final = "bob@example.test"


@pytest.fixture
def settings(database_url: str, mail_server: MailServer) -> Settings:
    return identity_settings(
        database_url,
        IDENTITY_MAIL_URL=mail_server.url,
        IDENTITY_EMAIL_VERIFICATION="optional",
        IDENTITY_SIGN_IN_CODES="on",
    )


@pytest.fixture
async def alice(
    settings: Settings, clock: MovableClock, mail_server: MailServer
) -> AsyncIterator[IdentityClient]:
    """Identity, where alice has verified her address."""
    async with running_identity(settings, clock=clock) as identity:
        await identity.sign_up("alice")
        token = (await mail_server.next_to(ALICE)).token
        verified = await identity.send(
            "POST", "/api/auth/email-verification", json={"token": token}
        )
        assert verified.status == 200
        yield identity


async def ask(identity: IdentityClient, email: str = ALICE) -> Answer:
    return await identity.send("POST", "/api/auth/signin/code", json={"email": email})


async def confirm(identity: IdentityClient, code: str, email: str = ALICE) -> Answer:
    return await identity.send(
        "POST", "/api/auth/signin/code/confirm", json={"email": email, "code": code}
    )


async def test_a_mailed_code_signs_in(
    alice: IdentityClient, mail_server: MailServer
) -> None:
    assert (await ask(alice)).status == 202
    mail = await mail_server.next_to(ALICE)

    answer = await confirm(alice, f" {mail.code} ")

    assert answer.status == 200
    assert answer.json["username"] == "alice"
    _, payload, _ = answer.json["accessToken"].split(".")
    assert json.loads(base64url.decode(payload))["amr"] == ["mail"]


async def test_a_code_is_good_once(
    alice: IdentityClient, mail_server: MailServer
) -> None:
    await ask(alice)
    code = (await mail_server.next_to(ALICE)).code
    answers = await asyncio.gather(*(confirm(alice, code) for _ in range(4)))

    assert sorted(answer.status for answer in answers) == [200, 401, 401, 401]


async def test_a_code_lives_for_ten_minutes(
    alice: IdentityClient, mail_server: MailServer, clock: MovableClock
) -> None:
    await ask(alice)
    code = (await mail_server.next_to(ALICE)).code
    clock.advance(timedelta(minutes=10))

    assert (await confirm(alice, code)).status == 401


async def test_a_code_is_of_one_user(
    alice: IdentityClient, mail_server: MailServer
) -> None:
    await alice.sign_up("bob")
    await ask(alice)
    code = (await mail_server.next_to(ALICE)).code

    assert (await confirm(alice, code, "bob@example.test")).status == 401
    assert (await confirm(alice, code)).status == 200


async def test_every_refusal_is_that_of_a_wrong_password(alice: IdentityClient) -> None:
    wrong_password = await alice.sign_in("alice", "not the password")
    for answer in (
        await confirm(alice, "00000000"),
        await confirm(alice, "00000000", "nobody@example.test"),
        await confirm(alice, "no code at all"),
    ):
        assert answer.status == 401
        assert answer.json["code"] == wrong_password.json["code"]
        assert answer.message == wrong_password.message


async def test_a_refusal_is_recorded_with_the_method(
    alice: IdentityClient, database_url: str
) -> None:
    await create_admin(database_url)
    await confirm(alice, "00000000")

    token = (await alice.sign_in("boss")).json["accessToken"]
    (event,) = await alice.events(token, action="session.sign_in_refused")
    assert event["details"] == {"methods": "mail"}


async def test_no_code_is_mailed_to_an_address_that_was_only_claimed(
    alice: IdentityClient, mail_server: MailServer
) -> None:
    await alice.sign_up("bob")
    assert (await mail_server.next_to("bob@example.test")).page == "/email-verification"
    answers = [await ask(alice, each) for each in ("bob@example.test", ALICE)]
    await mail_server.next_to(ALICE)

    assert answers[0].text == answers[1].text
    assert not mail_server.to("bob@example.test")


async def test_no_code_is_mailed_to_a_disabled_user(
    alice: IdentityClient, mail_server: MailServer, database_url: str
) -> None:
    bob = await alice.signed_in("bob")
    body: dict[str, object] = {"token": (await mail_server.next_to(BOB)).token}
    await alice.send("POST", "/api/auth/email-verification", json=body)
    await create_admin(database_url)
    admin = (await alice.sign_in("boss")).json["accessToken"]
    body = {"disabled": True}
    await alice.call("PATCH", f"/api/users/{bob['id']}", admin, json=body)

    answers = [await ask(alice, each) for each in (BOB, ALICE)]
    await mail_server.next_to(ALICE)

    assert answers[0].text == answers[1].text
    assert not mail_server.to(BOB)


async def test_codes_are_off_by_default(
    database_url: str, mail_server: MailServer
) -> None:
    settings = identity_settings(database_url, IDENTITY_MAIL_URL=mail_server.url)
    async with running_identity(settings) as identity:
        for answer in (await ask(identity), await confirm(identity, "12345678")):
            assert (answer.status, answer.json["code"]) == (404, "not_offered")
