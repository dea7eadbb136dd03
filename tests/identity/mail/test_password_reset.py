import asyncio
from datetime import timedelta
from typing import Any, Final

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.support.database import connected
from tests.support.identity import (
    OTHER_PASSWORD,
    PASSWORD,
    Answer,
    IdentityClient,
    MovableClock,
    create_admin,
)
from tests.support.mail_server import Mail, MailServer
from tests.support.operator import Operator

from identity_service.composition import Services
from identity_service.domain.accounts.emails import EmailAddress
from identity_service.domain.accounts.usernames import Username
from identity_service.domain.mail import MailRequest, MailRequestKind
from identity_service.settings import Settings
from identity_service.storage.repositories import Repositories

ALICE: Final = "alice@example.test"


async def ask(identity: IdentityClient, email: str = ALICE, **headers: str) -> Answer:
    return await identity.send(
        "POST", "/api/auth/password-reset", json={"email": email}, headers=headers
    )


async def confirm(
    identity: IdentityClient, token: str, password: str = OTHER_PASSWORD
) -> Answer:
    return await identity.send(
        "POST",
        "/api/auth/password-reset/confirm",
        json={"token": token, "password": password},
    )


@pytest.fixture
async def mail(identity: IdentityClient, mail_server: MailServer) -> Mail:
    """The mail with which alice may reset her password."""
    assert (await identity.sign_up("alice")).status == 200
    assert (await ask(identity)).status == 202
    return await mail_server.next_to(ALICE)


async def test_a_forgotten_password_is_replaced(
    identity: IdentityClient, mail: Mail, mail_server: MailServer
) -> None:
    session = (await identity.sign_in("alice")).json

    answer = await confirm(identity, mail.token)

    assert (answer.status, answer.message) == (200, "Password changed.")
    assert (await identity.sign_in("alice")).status == 401
    assert (await identity.sign_in("alice", OTHER_PASSWORD)).status == 200
    assert (await identity.refresh(session["refreshToken"])).status == 403
    assert not await identity.is_accepted(session["accessToken"])
    assert mail.page == "/password-reset"
    told = await mail_server.next_to(ALICE)
    assert told.subject == "Your password was changed"


async def test_a_reset_token_is_good_once(identity: IdentityClient, mail: Mail) -> None:
    answers = await asyncio.gather(*(confirm(identity, mail.token) for _ in range(5)))

    assert sorted(answer.status for answer in answers) == [200, 400, 400, 400, 400]
    refused = next(answer for answer in answers if answer.status == 400)
    assert refused.json["code"] == "token_refused"


async def test_a_reset_spends_the_other_tokens(
    identity: IdentityClient, mail: Mail, mail_server: MailServer
) -> None:
    await ask(identity)
    other = await mail_server.next_to(ALICE)

    assert (await confirm(identity, mail.token)).status == 200
    assert (await confirm(identity, other.token)).status == 400


async def test_a_reset_token_lives_for_half_an_hour(
    identity: IdentityClient, mail: Mail, clock: MovableClock
) -> None:
    clock.advance(timedelta(minutes=30))

    assert (await confirm(identity, mail.token)).status == 400
    assert (await identity.sign_in("alice")).status == 200


async def test_a_weak_password_leaves_the_token_good(
    identity: IdentityClient, mail: Mail
) -> None:
    weak = await confirm(identity, mail.token, "password1")

    assert weak.json["errors"][0]["code"] == "password_common"
    assert (await confirm(identity, mail.token)).status == 200


async def test_a_changed_token_is_refused(identity: IdentityClient, mail: Mail) -> None:
    token = mail.token
    wrong = token[:-1] + ("A" if token[-1] != "A" else "B")
    for each in (wrong, token[:-1], token + "A", "", "ä" * 64, "A" * 64):
        answer = await confirm(identity, each)
        assert (answer.status, answer.json["code"]) == (400, "token_refused")
    assert (await confirm(identity, token)).status == 200


async def test_nobody_else_is_written_to(
    identity: IdentityClient, mail_server: MailServer, database_url: str
) -> None:
    await create_admin(database_url)
    admin = (await identity.sign_in("boss")).json["accessToken"]
    dora = (await identity.signed_in("dora"))["id"]
    await identity.call("PATCH", f"/api/users/{dora}", admin, json={"disabled": True})
    await identity.sign_up("alice")

    for email in ("nobody@example.test", "dora@example.test", ALICE):
        assert (await ask(identity, email)).status == 202
    await mail_server.next_to(ALICE)  # asked for last

    assert not mail_server.received


async def test_the_response_says_nothing(identity: IdentityClient) -> None:
    await identity.sign_up("alice")
    known, unknown = await ask(identity), await ask(identity, "nobody@example.test")

    assert (known.status, known.text) == (unknown.status, unknown.text)
    lengths = {answer.headers["Content-Length"] for answer in (known, unknown)}
    assert len(lengths) == 1


async def test_the_mail_speaks_the_language_of_the_browser(
    identity: IdentityClient, mail_server: MailServer
) -> None:
    await identity.sign_up("alice")
    await ask(identity, **{"Accept-Language": "fr, de-AT;q=0.8, en;q=0.5"})

    assert (await mail_server.next_to(ALICE)).subject == "Neues Passwort wählen"


async def test_no_token_lies_readable_in_the_database(
    identity: IdentityClient, mail_server: MailServer, database_url: str
) -> None:
    await identity.sign_up("alice")
    mail_server.refusals[ALICE] = ["451 later"]
    await ask(identity)
    async with connected(database_url) as engine, asyncio.timeout(20):
        while not (waiting := await rows_of(engine, "outbox")):  # noqa: ASYNC110 - rows
            await asyncio.sleep(0.05)
        stored = await rows_of(engine, "one_time_tokens")

    mail = await mail_server.next_to(ALICE, within=30)
    secret = mail.token[-40:]
    assert secret not in f"{waiting}{stored}"
    assert ALICE not in str(waiting)
    assert (await confirm(identity, mail.token)).status == 200


async def rows_of(engine: AsyncEngine, table: str) -> list[Any]:
    async with engine.connect() as connection:
        found = await connection.exec_driver_sql(f"SELECT * FROM {table}")  # noqa: S608 - ours
        return list(found.all())


async def test_an_administrator_has_a_reset_sent(
    identity: IdentityClient, admin: str, mail_server: MailServer
) -> None:
    alice = (await identity.signed_in("alice"))["id"]
    path = f"/api/users/{alice}/password-reset"

    assert (await identity.call("POST", path, admin)).status == 202
    mail = await mail_server.next_to(ALICE)
    assert (await confirm(identity, mail.token)).status == 200

    missing = await identity.call("POST", "/api/users/999999/password-reset", admin)
    assert missing.status == 404
    user = (await identity.sign_in("alice", OTHER_PASSWORD)).json["accessToken"]
    assert (await identity.call("POST", path, user)).status == 403


async def test_what_happened_is_audited(
    identity: IdentityClient, mail: Mail, admin: str
) -> None:
    await confirm(identity, "A" * 64)
    await confirm(identity, mail.token)

    events = await identity.events(admin)
    actions = [event["action"] for event in events]
    assert {
        "account.password_reset_sent",
        "account.password_reset",
        "account.token_refused",
    } <= set(actions)
    assert PASSWORD not in str(events)
    assert mail.token not in str(events)


async def test_a_typo_is_named_whoever_has_the_address(
    identity: IdentityClient,
) -> None:
    answer = await ask(identity, "not an address")
    assert answer.status == 400
    assert answer.json["errors"][0]["field"] == "email"


async def test_no_token_goes_to_an_address_that_is_being_changed(
    identity: IdentityClient,
    settings: Settings,
    clock: MovableClock,
) -> None:
    user = await identity.signed_in("alice")
    is_changed = asyncio.Event()

    async def change(unit: Repositories) -> None:
        """Do what a change of address does, and commit when the request waits."""
        found = await unit.users.lock(user["id"])
        assert found is not None
        await unit.users.rename(
            found,
            Username(found.username, found.username_key),
            EmailAddress.parse("new@example.test"),
            email_verified_at=None,
        )
        is_changed.set()
        await asyncio.sleep(0.3)

    request = MailRequest(
        kind=MailRequestKind.PASSWORD_RESET,
        email_key=ALICE,
        language="en",
        address="192.0.2.1",
    )
    async with Services(settings, clock=clock) as services:
        changing = asyncio.create_task(services.database.write(change))
        await is_changed.wait()
        await services.database.write(
            lambda unit: services.password_letters.handle(unit, request)
        )
        await changing
        tokens = await services.database.read(
            lambda unit: unit.one_time_tokens.of_user(user["id"])
        )
    assert not tokens


async def test_an_administrator_proves_who_they_are_before_they_have_a_reset_sent(
    identity: IdentityClient, admin: str, mail: Mail, clock: MovableClock
) -> None:
    alice = (await identity.sign_in("alice")).json["id"]
    path = f"/api/users/{alice}/password-reset"
    clock.advance(timedelta(minutes=11))

    refused = await identity.call("POST", path, admin)
    assert (refused.status, refused.json["code"]) == (403, "fresh_check_required")

    proof = {"password": PASSWORD}
    assert (
        await identity.call("POST", "/api/users/me/fresh", admin, json=proof)
    ).status == 200
    assert (await identity.call("POST", path, admin)).status == 202
    assert mail.token


async def test_a_password_that_the_operator_gives_is_announced(
    identity: IdentityClient, mail_server: MailServer, database_url: str
) -> None:
    await identity.sign_up("alice")
    operator = Operator(database_url, IDENTITY_MAIL_URL=mail_server.url)

    ended = await operator.run("reset-password", "alice")

    assert ended.code == 0, ended
    assert ended.out.startswith("alice: password replaced, all sessions ended\n")
    mail = await mail_server.next_to(ALICE)
    assert mail.subject == "Your password was changed"


async def test_a_password_that_is_changed_is_announced(
    identity: IdentityClient, mail_server: MailServer
) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]
    body = {"currentPassword": PASSWORD, "newPassword": OTHER_PASSWORD}
    answer = await identity.call("POST", "/api/users/me/password", token, json=body)
    assert answer.status == 200
    mail = await mail_server.next_to(ALICE)
    assert mail.subject == "Your password was changed"
    assert "http" not in mail.text
