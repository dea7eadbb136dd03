"""How often mail may be asked for."""

import pytest
from tests.support.identity import (
    OTHER_PASSWORD,
    PASSWORD,
    Answer,
    IdentityClient,
    MovableClock,
    create_admin,
    identity_settings,
    running_identity,
)
from tests.support.mail_server import MailServer

from identity_service.composition import Services
from identity_service.domain.limits.throttling import MAILS_OF_ALL, SIGN_UPS_OF_SOURCE
from identity_service.domain.mail import MailRequestKind
from identity_service.domain.sessions.sessions import Device
from identity_service.settings import Settings


@pytest.fixture
def settings(database_url: str, mail_server: MailServer) -> Settings:
    return identity_settings(
        database_url, IDENTITY_MAIL_URL=mail_server.url, IDENTITY_THROTTLE="on"
    )


async def ask(identity: IdentityClient, email: str, source: str) -> Answer:
    return await identity.send(
        "POST",
        "/api/auth/password-reset",
        json={"email": email},
        headers={"X-Forwarded-For": source},
    )


@pytest.mark.parametrize("known", [True, False])
async def test_one_address_gets_few_mails_whoever_asks_for_them(
    identity: IdentityClient, *, known: bool
) -> None:
    if known:
        await identity.sign_up("alice")
    answers = [
        await ask(identity, spelling, f"203.0.113.{number}")
        for number, spelling in enumerate(
            ("alice@example.test", "Alice@Example.test", "alice@EXAMPLE.TEST") * 2
        )
    ]

    assert [answer.status for answer in answers] == [202] * 3 + [429] * 3
    assert int(answers[-1].headers["Retry-After"]) > 60


async def test_one_source_has_few_mails_sent_to_whomever(
    identity: IdentityClient,
) -> None:
    answers = [
        await ask(identity, f"user{number}@example.test", "203.0.113.7")
        for number in range(21)
    ]

    assert [answer.status for answer in answers] == [202] * 20 + [429]
    other = await ask(identity, "user0@example.test", "198.51.100.1")
    assert other.status == 202


async def test_a_crowd_that_makes_addresses_up_leaves_others_their_mail(
    identity: IdentityClient, mail_server: MailServer
) -> None:
    await identity.sign_up("alice")
    for number in range(MAILS_OF_ALL[0].amount + 1):
        network = f"10.{number // 256}.{number % 256}.7"
        made_up = await ask(identity, f"nobody{number}@example.test", network)
        assert made_up.status == 202

    assert (await ask(identity, "alice@example.test", "198.51.100.1")).status == 202
    await mail_server.next_to("alice@example.test")


async def test_mail_for_strangers_waits_where_all_of_them_have_had_too_much(
    database_url: str, mail_server: MailServer, clock: MovableClock
) -> None:
    settings = identity_settings(
        database_url, IDENTITY_MAIL_URL=mail_server.url, IDENTITY_THROTTLE="on"
    )
    await create_admin(database_url, "alice")
    seconds = 1000.0
    async with Services(settings, clock=clock, monotonic=lambda: seconds) as services:
        for _ in range(MAILS_OF_ALL[0].amount):
            await services.throttle.reserve_mail_in_all()
        sender, requests = (
            services.accounts.mail_sender,
            services.accounts.mail_requests,
        )
        assert sender is not None
        await requests.ask(
            MailRequestKind.PASSWORD_RESET, "alice@example.test", Device("a", "::1")
        )

        assert not await sender.once()
        assert not mail_server.received

        seconds += MAILS_OF_ALL[0].period.total_seconds()
        while await sender.once():
            pass
    await mail_server.next_to("alice@example.test")


async def test_wrong_tokens_are_limited_and_keep_nobody_there_from_a_mailed_link(
    database_url: str, mail_server: MailServer
) -> None:
    settings = identity_settings(
        database_url,
        IDENTITY_MAIL_URL=mail_server.url,
        IDENTITY_EMAIL_VERIFICATION="optional",
        IDENTITY_THROTTLE="on",
    )
    async with running_identity(settings) as identity:

        async def verify(token: str) -> int:
            path, body = "/api/auth/email-verification", {"token": token}
            return (await identity.send("POST", path, json=body)).status

        await identity.sign_up("alice")  # counts, too
        token = (await mail_server.next_to("alice@example.test")).token
        wrong = [await verify("A" * 64) for _ in range(SIGN_UPS_OF_SOURCE[0].amount)]

        assert wrong == [400] * (len(wrong) - 1) + [429]
        assert await verify(token) == 200


async def sign_ups_of(
    identity: IdentityClient, email: str, *sources: str
) -> list[Answer]:
    return [
        await identity.send(
            "POST",
            "/api/auth/signup",
            json={
                "username": f"reader {number}",
                "email": email,
                "password": "a lamp, a fern, a quiet river",
            },
            headers={"X-Forwarded-For": source},
        )
        for number, source in enumerate(sources)
    ]


@pytest.mark.parametrize("known", [True, False])
async def test_one_address_gets_few_mails_of_sign_ups(
    database_url: str, mail_server: MailServer, *, known: bool
) -> None:
    settings = identity_settings(
        database_url,
        IDENTITY_MAIL_URL=mail_server.url,
        IDENTITY_EMAIL_VERIFICATION="required",
        IDENTITY_THROTTLE="on",
    )
    if known:
        await create_admin(database_url, "alice")
    async with running_identity(settings) as identity:
        one_network = [f"203.0.113.{number}" for number in range(4)]
        answers = await sign_ups_of(identity, "alice@example.test", *one_network)
        assert [answer.status for answer in answers] == [200] * 3 + [429]

        taken = await sign_ups_of(identity, "alice@example.test", "198.51.100.7")
        assert taken[0].json["code"] == "username_taken"  # no mail, so it counts none


async def test_an_address_is_notified_few_times_that_it_was_changed(
    identity: IdentityClient,
) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]
    here, there = "alice@example.test", "alice@elsewhere.test"
    answers = [
        await identity.call("PATCH", "/api/users/me", token, json={"email": email})
        for email in (there, here) * 3 + (there,)
    ]
    assert [answer.status for answer in answers] == [200] * 6 + [429]


async def test_an_address_is_notified_few_times_that_a_password_was_changed(
    identity: IdentityClient,
) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]
    there = {"currentPassword": PASSWORD, "newPassword": OTHER_PASSWORD}
    back = {"currentPassword": OTHER_PASSWORD, "newPassword": PASSWORD}
    answers = [
        await identity.call("POST", "/api/users/me/password", token, json=body)
        for body in (there, back) * 2
    ]
    assert [answer.status for answer in answers] == [200] * 3 + [429]
    assert (await identity.sign_in("alice", OTHER_PASSWORD)).status == 200


async def test_an_address_is_notified_few_times_of_its_accounts_deletion(
    identity: IdentityClient,
) -> None:
    await identity.sign_up("alice")
    statuses = []
    for _ in range(4):
        token = (await identity.sign_in("alice")).json["accessToken"]
        left = await identity.call("DELETE", "/api/users/me", token)
        statuses.append(left.status)
    assert statuses == [200] * 3 + [429]


async def test_who_does_not_know_the_password_keeps_nobody_from_changing_it(
    identity: IdentityClient,
) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]
    guess = {"currentPassword": OTHER_PASSWORD, "newPassword": OTHER_PASSWORD}
    known = {"currentPassword": PASSWORD, "newPassword": OTHER_PASSWORD}
    answers = [
        await identity.call("POST", "/api/users/me/password", token, json=body)
        for body in (*[guess] * 4, known)
    ]
    assert [answer.status for answer in answers] == [400] * 4 + [200]
