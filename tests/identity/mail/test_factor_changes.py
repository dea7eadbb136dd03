"""Owners learn by mail what becomes of their second factors, and undo it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from tests.support.authenticators import Authenticator
from tests.support.factors import (
    PASSKEYS,
    TOTP,
    TotpUser,
    challenge_of,
    code_at,
    enrolled,
    registered,
    second_step,
    use_options,
)
from tests.support.identity import (
    OTHER_PASSWORD,
    Answer,
    IdentityClient,
    MovableClock,
    identity_settings,
    running_identity,
)
from tests.support.mail_server import Mail, MailServer
from tests.support.operator import Operator

from identity_service.domain.mail import FACTOR_MAILS
from identity_service.settings import Settings

ALICE: Final = "alice@example.test"
ELSEWHERE: Final = "thief@elsewhere.test"


async def undo(identity: IdentityClient, mail: Mail) -> Answer:
    assert mail.page == "/factor-change-undo"
    body = {"token": mail.token}
    return await identity.send("POST", "/api/auth/factor-change/undo", json=body)


async def reset(
    identity: IdentityClient, mail: Mail, password: str = OTHER_PASSWORD
) -> None:
    assert mail.page == "/password-reset"
    body = {"token": mail.token, "password": password}
    path = "/api/auth/password-reset/confirm"
    assert (await identity.send("POST", path, json=body)).status == 200


async def passkey_signs_in(identity: IdentityClient, device: Authenticator) -> bool:
    credential = device.get(await use_options(identity))
    answer = await identity.send(
        "POST", "/api/auth/passkeys", json={"credential": credential}
    )
    assert answer.status in {200, 401}
    return answer.status == 200


async def test_a_thiefs_passkey_goes_with_the_link_of_the_mail(
    identity: IdentityClient, mail_server: MailServer
) -> None:
    thief = await identity.signed_in("alice")
    device = Authenticator()
    assert (await registered(identity, thief["accessToken"], device)).status == 201
    mail = await mail_server.next_to(ALICE)
    assert mail.subject == "A passkey was added to your account"
    assert "72 hours" in mail.text
    assert mail.link.replace("&", "&amp;") in mail.html

    answer = await undo(identity, mail)

    assert answer.status == 200, answer.text
    assert not await passkey_signs_in(identity, device)
    assert not await identity.is_accepted(thief["accessToken"])
    assert (await identity.sign_in("alice")).json["code"] == "invalid_credentials"
    await reset(identity, await mail_server.next_to(ALICE))
    assert (await identity.sign_in("alice", OTHER_PASSWORD)).status == 200
    assert (await undo(identity, mail)).json["code"] == "token_refused"


async def test_a_thiefs_app_goes_after_a_reset_of_the_password(
    identity: IdentityClient, mail_server: MailServer, clock: MovableClock
) -> None:
    thief = await enrolled(identity, clock)
    mail = await mail_server.next_to(ALICE)
    await identity.send("POST", "/api/auth/password-reset", json={"email": ALICE})
    await reset(identity, await mail_server.next_to(ALICE))
    await mail_server.next_to(ALICE)
    locked_out = await identity.sign_in("alice", OTHER_PASSWORD)
    assert locked_out.json["code"] == "second_factor_required"

    assert (await undo(identity, mail)).status == 200

    await reset(identity, await mail_server.next_to(ALICE), "a third long phrase")
    assert (await identity.sign_in("alice", "a third long phrase")).status == 200
    assert thief.recovery_codes


async def signed_in_with_app(
    identity: IdentityClient, user: TotpUser, clock: MovableClock
) -> str:
    challenge = await challenge_of(identity, user.name)
    answer = await second_step(identity, challenge, code=user.next_code(clock))
    assert answer.status == 200, answer.text
    return str(answer.json["accessToken"])


async def test_what_else_the_owner_has_stays(
    identity: IdentityClient, mail_server: MailServer, clock: MovableClock
) -> None:
    owner = await enrolled(identity, clock)
    await mail_server.next_to(ALICE)
    token = await signed_in_with_app(identity, owner, clock)
    mine, thiefs = Authenticator(), Authenticator()
    await registered(identity, token, mine)
    await mail_server.next_to(ALICE)
    await registered(identity, token, thiefs)

    assert (await undo(identity, await mail_server.next_to(ALICE))).status == 200

    await reset(identity, await mail_server.next_to(ALICE))
    assert not await passkey_signs_in(identity, thiefs)
    assert await passkey_signs_in(identity, mine)
    challenge = await challenge_of(identity, "alice", password=OTHER_PASSWORD)
    by_code = await second_step(identity, challenge, code=owner.recovery_codes[0])
    assert by_code.status == 401
    by_app = await second_step(identity, challenge, code=owner.next_code(clock))
    assert by_app.status == 200


async def change_each(
    identity: IdentityClient, clock: MovableClock
) -> AsyncIterator[Answer]:
    """Change alice's factors in every way there is."""
    token = (await identity.signed_in("alice"))["accessToken"]
    secret = (await identity.call("POST", TOTP, token)).json["secret"]
    body = {"code": code_at(secret, clock())}
    yield await identity.call("POST", f"{TOTP}/confirm", token, json=body)
    made = await registered(identity, token, Authenticator())
    yield made
    yield await identity.call("POST", "/api/users/me/recovery-codes", token)
    yield await identity.call("DELETE", f"{PASSKEYS}/{made.json['id']}", token)
    yield await identity.call("DELETE", TOTP, token)


async def test_every_change_is_announced_with_a_link(
    identity: IdentityClient, mail_server: MailServer, clock: MovableClock
) -> None:
    async for answer in change_each(identity, clock):
        assert answer.status in {200, 201}, answer.text
    mails = [await mail_server.next_to(ALICE) for _ in range(5)]

    assert [mail.subject for mail in mails] == [
        "An authenticator app was added to your account",
        "A passkey was added to your account",
        "You have new recovery codes",
        "A passkey was removed from your account",
        "Your authenticator app was removed",
    ]
    assert len({mail.token for mail in mails}) == len(FACTOR_MAILS) - 1
    assert [(await undo(identity, mail)).status for mail in mails] == [200] * 5


async def test_a_reset_by_the_operator_is_announced_with_a_link(
    identity: IdentityClient, mail_server: MailServer, database_url: str
) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]
    device = Authenticator()
    await registered(identity, token, device)
    await mail_server.next_to(ALICE)
    operator = Operator(database_url, IDENTITY_MAIL_URL=mail_server.url)

    ended = await operator.run("reset-factors", "alice")

    assert ended.code == 0, ended
    mail = await mail_server.next_to(ALICE)
    assert mail.subject == "Your second factors were removed"
    assert "72 hours" in mail.text
    assert not await passkey_signs_in(identity, device)
    thief = (await identity.sign_in("alice")).json
    assert (await undo(identity, mail)).status == 200
    assert not await identity.is_accepted(thief["accessToken"])
    await reset(identity, await mail_server.next_to(ALICE))


@pytest.mark.parametrize("which", range(5))
async def test_any_link_undoes_what_a_thief_has_added_since(
    identity: IdentityClient,
    mail_server: MailServer,
    clock: MovableClock,
    which: int,
) -> None:
    async for _ in change_each(identity, clock):
        clock.advance(timedelta(seconds=1))
    mails = [await mail_server.next_to(ALICE) for _ in range(5)]
    token = (await identity.sign_in("alice")).json["accessToken"]
    secret = (await identity.call("POST", TOTP, token)).json["secret"]
    clock.advance(timedelta(minutes=2))
    body = {"code": code_at(secret, clock())}
    await identity.call("POST", f"{TOTP}/confirm", token, json=body)
    device = Authenticator()
    assert (await registered(identity, token, device)).status == 201
    for _ in range(2):
        await mail_server.next_to(ALICE)

    assert (await undo(identity, mails[which])).status == 200

    await reset(identity, await mail_server.next_to(ALICE))
    assert (await identity.sign_in("alice", OTHER_PASSWORD)).status == 200
    assert not await passkey_signs_in(identity, device)


async def test_the_mail_is_in_the_language_that_was_asked_for(
    identity: IdentityClient, mail_server: MailServer
) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]
    device = Authenticator()
    options = await identity.call("POST", f"{PASSKEYS}/options", token)
    await identity.send(
        "POST",
        PASSKEYS,
        json={"name": "Telefon", "credential": device.create(options.json)},
        headers={"Authorization": f"Bearer {token}", "Accept-Language": "de"},
    )

    mail = await mail_server.next_to(ALICE)

    assert mail.subject == "Ihr Konto hat einen neuen Passkey"
    assert "Telefon" not in mail.text  # a thief's words would come from us


async def test_a_link_is_good_for_72_hours_and_once(
    identity: IdentityClient, mail_server: MailServer, clock: MovableClock
) -> None:
    thief = await identity.signed_in("alice")
    await registered(identity, thief["accessToken"], Authenticator())
    mail = await mail_server.next_to(ALICE)
    clock.advance(timedelta(hours=72))
    assert (await undo(identity, mail)).json["code"] == "token_refused"


async def test_of_two_uses_at_once_one_alone_counts(
    settings: Settings, mail_server: MailServer
) -> None:
    async with (
        running_identity(settings) as here,
        running_identity(settings) as there,
    ):
        thief = await here.signed_in("alice")
        await registered(here, thief["accessToken"], Authenticator())
        mail = await mail_server.next_to(ALICE)
        answers = await asyncio.gather(
            *(undo(each, mail) for each in (here, there) * 3)
        )
        assert sorted(answer.status for answer in answers) == [200, *[400] * 5]
        await reset(here, await mail_server.next_to(ALICE))
        await asyncio.sleep(1.5)
    assert [mail.subject for mail in mail_server.to(ALICE)] == [
        "Your password was changed"
    ]


async def test_a_link_to_undo_is_good_for_nothing_else(
    identity: IdentityClient, mail_server: MailServer
) -> None:
    thief = await identity.signed_in("alice")
    await registered(identity, thief["accessToken"], Authenticator())
    token = (await mail_server.next_to(ALICE)).token
    for path in (
        "email-change/undo",
        "email-change/confirm",
        "email-verification",
        "password-reset/confirm",
    ):
        body = {"token": token, "password": OTHER_PASSWORD}
        if "password" not in path:
            del body["password"]
        answer = await identity.send("POST", f"/api/auth/{path}", json=body)
        assert answer.status == 400, path


async def change_address(
    identity: IdentityClient, mail_server: MailServer, token: str, address: str
) -> None:
    body = {"email": address}
    answer = await identity.call("POST", "/api/users/me/email", token, json=body)
    assert answer.status == 202, answer.text
    confirmed = await identity.send(
        "POST",
        "/api/auth/email-change/confirm",
        json={"token": (await mail_server.next_to(address)).token},
    )
    assert confirmed.status == 200


async def bring_back(identity: IdentityClient, mail: Mail) -> Answer:
    assert mail.page == "/email-change-undo"
    path = "/api/auth/email-change/undo"
    return await identity.send("POST", path, json={"token": mail.token})


async def test_a_passkey_added_after_a_change_of_address_goes_when_that_is_undone(
    identity: IdentityClient, mail_server: MailServer, clock: MovableClock
) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]
    device = Authenticator()
    await change_address(identity, mail_server, token, ELSEWHERE)
    mail = await mail_server.next_to(ALICE)
    await registered(identity, token, device)
    secret = (await identity.call("POST", TOTP, token)).json["secret"]
    body = {"code": code_at(secret, clock())}
    await identity.call("POST", f"{TOTP}/confirm", token, json=body)
    thiefs_mail = await mail_server.next_to(ELSEWHERE)

    assert (await bring_back(identity, mail)).status == 200

    assert not await passkey_signs_in(identity, device)
    await reset(identity, await mail_server.next_to(ALICE))
    assert (await identity.sign_in("alice", OTHER_PASSWORD)).status == 200
    assert (await undo(identity, thiefs_mail)).status == 400


async def test_a_passkey_added_before_a_change_of_address_goes_by_its_own_mail(
    identity: IdentityClient, mail_server: MailServer
) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]
    device = Authenticator()
    await registered(identity, token, device)
    of_passkey = await mail_server.next_to(ALICE)
    await change_address(identity, mail_server, token, ELSEWHERE)

    assert (await bring_back(identity, await mail_server.next_to(ALICE))).status == 200
    assert await passkey_signs_in(identity, device)
    assert (await undo(identity, of_passkey)).status == 200
    assert not await passkey_signs_in(identity, device)


async def test_a_thief_who_changes_the_address_twice_cannot_keep_the_owner_out(
    identity: IdentityClient, mail_server: MailServer
) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]
    await change_address(identity, mail_server, token, ELSEWHERE)
    owners = await mail_server.next_to(ALICE)
    await change_address(identity, mail_server, token, "other@elsewhere.test")
    thiefs = await mail_server.next_to(ELSEWHERE)

    assert (await bring_back(identity, thiefs)).status == 200
    assert (await bring_back(identity, owners)).status == 200

    await reset(identity, await mail_server.next_to(ALICE))
    user = (await identity.sign_in("alice", OTHER_PASSWORD)).json
    assert user["email"] == ALICE


async def test_an_undo_of_a_later_change_is_good_no_more(
    identity: IdentityClient, mail_server: MailServer
) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]
    await change_address(identity, mail_server, token, ELSEWHERE)
    owners = await mail_server.next_to(ALICE)
    await change_address(identity, mail_server, token, "other@elsewhere.test")
    thiefs = await mail_server.next_to(ELSEWHERE)

    assert (await bring_back(identity, owners)).status == 200
    assert (await bring_back(identity, thiefs)).status == 400


async def test_without_mail_factors_change_and_no_token_is_made(
    database_url: str,
) -> None:
    async with running_identity(identity_settings(database_url)) as identity:
        token = (await identity.signed_in("bob"))["accessToken"]
        assert (await registered(identity, token, Authenticator())).status == 201
        export = await identity.call("GET", "/api/users/me/export", token)
    assert export.json["tokens"] == []


def test_every_kind_has_its_text_in_both_languages() -> None:
    folder = Path(__file__).parents[3] / (
        "services/identity/src/identity_service/mail/templates"
    )
    for language in ("en", "de"):
        for kind in FACTOR_MAILS:
            assert (folder / language / f"{kind}.txt").is_file()
