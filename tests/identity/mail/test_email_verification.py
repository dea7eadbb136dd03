import asyncio
import json
from datetime import timedelta
from typing import Any, Final

import pytest
from sqlalchemy import delete
from tests.support.database import connected
from tests.support.identity import (
    OTHER_PASSWORD,
    Answer,
    IdentityClient,
    MovableClock,
    create_admin,
    identity_settings,
    running_identity,
)
from tests.support.mail_server import MailServer
from tests.support.operator import Operator

from identity_service.composition import Services
from identity_service.domain.accounts.emails import EmailAddress
from identity_service.domain.accounts.usernames import Username
from identity_service.settings import Settings
from identity_service.storage.repositories import Repositories
from identity_service.storage.tables import roles
from service_kit.settings import SettingsError

ALICE: Final = "alice@example.test"
HASH: Final = f"$2b$10${'a' * 53}"


@pytest.fixture
def mode() -> str:
    return "required"


@pytest.fixture
def settings(database_url: str, mail_server: MailServer, mode: str) -> Settings:
    return identity_settings(
        database_url,
        IDENTITY_MAIL_URL=mail_server.url,
        IDENTITY_EMAIL_VERIFICATION=mode,
    )


async def verify(identity: IdentityClient, token: str) -> Answer:
    return await identity.send(
        "POST", "/api/auth/email-verification", json={"token": token}
    )


async def resend(identity: IdentityClient, email: str = ALICE) -> Answer:
    return await identity.send(
        "POST", "/api/auth/email-verification/resend", json={"email": email}
    )


async def me(identity: IdentityClient, access_token: str) -> Any:  # noqa: ANN401 - JSON
    return (await identity.call("GET", "/api/users/me", access_token)).json


async def test_there_is_no_account_before_its_address_is_verified(
    identity: IdentityClient, mail_server: MailServer
) -> None:
    assert (await identity.sign_up("alice")).message == "User registered successfully!"
    assert (await identity.sign_in("alice")).status == 401
    mail = await mail_server.next_to(ALICE)

    assert mail.page == "/email-verification"
    assert (await verify(identity, mail.token)).status == 200
    signed_in = await identity.sign_in("alice")
    assert signed_in.status == 200
    assert (await me(identity, signed_in.json["accessToken"]))["emailVerified"] is True
    assert (await verify(identity, mail.token)).status == 400


async def test_a_known_address_gets_a_mail_and_whoever_signs_up_learns_nothing(
    identity: IdentityClient, mail_server: MailServer, database_url: str
) -> None:
    await create_admin(database_url, "alice")
    known = await identity.sign_up("mallory", email=ALICE)
    new = await identity.sign_up("malory2", email="new@example.test")

    assert (known.status, known.text) == (new.status, new.text)
    mail = await mail_server.next_to(ALICE)
    assert mail.subject == "You already have an account"
    assert "http" not in mail.text
    # A name is taken alike, so it does not betray whether its sign-up made an account.
    for name in ("mallory", "malory2"):
        again = await identity.sign_up(name, email=f"{name}@elsewhere.test")
        assert again.json["code"] == "username_taken"
    for name in ("mallory", "malory2"):
        assert (await identity.sign_in(name)).status == 401


async def test_a_pending_sign_up_is_forgotten_after_a_day(
    identity: IdentityClient, mail_server: MailServer, clock: MovableClock
) -> None:
    await identity.sign_up("alice")
    mail = await mail_server.next_to(ALICE)
    clock.advance(timedelta(hours=24))

    assert (await verify(identity, mail.token)).json["code"] == "token_refused"
    assert (await identity.sign_up("alice")).status == 200


@pytest.fixture
async def boss(identity: IdentityClient, database_url: str) -> str:
    """The access token of an administrator."""
    await create_admin(database_url)
    return str((await identity.sign_in("boss")).json["accessToken"])


async def test_the_name_of_a_pending_sign_up_is_taken_for_everybody_else(
    identity: IdentityClient,
    boss: str,
    mail_server: MailServer,
    database_url: str,
    clock: MovableClock,
) -> None:
    await identity.sign_up("alice")
    mail = await mail_server.next_to(ALICE)
    operator = Operator(database_url, IDENTITY_MAIL_URL=mail_server.url)
    line = {"username": "Alice", "email": "a@x.test", "passwordHash": HASH}

    made = await identity.call(
        "POST", "/api/users", boss, json={"username": "alice", "email": "a@x.test"}
    )
    renamed = await identity.call(
        "PATCH", "/api/users/me", boss, json={"username": "ALICE"}
    )
    imported = await operator.run(
        "import-users", "--lines", "-", stdin=json.dumps(line)
    )

    assert (made.status, made.json["code"]) == (400, "username_taken")
    assert (renamed.status, renamed.json["code"]) == (400, "username_taken")
    assert "left behind: line 1: user name taken" in imported.out
    assert (await verify(identity, mail.token)).status == 200
    assert (await identity.sign_in("alice")).status == 200
    await identity.sign_up("bob")
    clock.advance(timedelta(hours=24))
    boss = (await identity.sign_in("boss")).json["accessToken"]
    name = {"username": "bob"}
    later = await identity.call("PATCH", "/api/users/me", boss, json=name)
    assert later.status == 200


async def test_the_operator_takes_the_name_of_a_pending_sign_up(
    identity: IdentityClient, mail_server: MailServer, database_url: str
) -> None:
    await identity.sign_up("boss", email=ALICE)
    mail = await mail_server.next_to(ALICE)

    await create_admin(database_url)

    assert (await identity.sign_in("boss")).json["roles"] == ["ROLE_USER", "ROLE_ADMIN"]
    assert (await verify(identity, mail.token)).json["code"] == "token_refused"


async def test_a_name_that_is_being_taken_is_not_signed_up_with(
    identity: IdentityClient, boss: str, database_url: str
) -> None:
    user_id = (await me(identity, boss))["id"]
    async with Services(identity_settings(database_url)) as services:
        is_renamed = asyncio.Event()

        async def rename(unit: Repositories) -> None:
            """Do what a change of name does, and commit when the sign-up waits."""
            found = await unit.users.lock(user_id)
            assert found is not None
            email = EmailAddress(found.email, found.email_key)
            await unit.users.rename(
                found, Username.parse("alice"), email, email_verified_at=None
            )
            is_renamed.set()
            await asyncio.sleep(0.5)

        renaming = asyncio.create_task(services.database.write(rename))
        await is_renamed.wait()
        signed_up = await identity.sign_up("alice")
        await renaming

    assert (signed_up.status, signed_up.json["code"]) == (400, "username_taken")


async def test_a_sign_up_outlives_the_removal_of_its_role(
    database_url: str, mail_server: MailServer
) -> None:
    settings = identity_settings(
        database_url,
        IDENTITY_MAIL_URL=mail_server.url,
        IDENTITY_EMAIL_VERIFICATION="required",
        IDENTITY_SELF_ASSIGNABLE_ROLES="user,moderator",
    )
    async with running_identity(settings) as identity:
        await identity.sign_up("alice", roles=["moderator"])
        mail = await mail_server.next_to(ALICE)
        async with connected(database_url) as engine, engine.begin() as connection:
            await connection.execute(delete(roles).where(roles.c.name == "moderator"))

        assert (await verify(identity, mail.token)).status == 200
        assert (await identity.sign_in("alice")).json["roles"] == ["ROLE_USER"]


async def test_the_first_of_two_sign_ups_that_verifies_gets_the_address(
    identity: IdentityClient, mail_server: MailServer
) -> None:
    await identity.sign_up("alice")
    first = await mail_server.next_to(ALICE)
    await identity.sign_up("alice2", email=ALICE)
    second = await mail_server.next_to(ALICE)

    assert (await verify(identity, second.token)).status == 200
    assert (await verify(identity, first.token)).status == 400
    assert (await identity.sign_in("alice2")).status == 200


async def test_the_mail_is_sent_again(
    identity: IdentityClient, mail_server: MailServer
) -> None:
    await identity.sign_up("alice")
    first = await mail_server.next_to(ALICE)
    known, unknown = await resend(identity), await resend(identity, "x@example.test")
    second = await mail_server.next_to(ALICE)

    assert (known.status, known.text) == (unknown.status, unknown.text)
    assert known.status == 202
    assert (await verify(identity, first.token)).status == 400
    assert (await verify(identity, second.token)).status == 200
    await resend(identity)
    await resend(identity, "x@example.test")
    assert not mail_server.to("x@example.test")


async def test_a_mail_that_is_sent_again_keeps_no_name_for_longer(
    identity: IdentityClient, mail_server: MailServer, clock: MovableClock
) -> None:
    await identity.sign_up("alice")
    await mail_server.next_to(ALICE)
    clock.advance(timedelta(hours=21))
    await resend(identity)
    mail = await mail_server.next_to(ALICE)
    clock.advance(timedelta(hours=3))

    assert "within 2 hours" in mail.text
    assert (await verify(identity, mail.token)).json["code"] == "token_refused"
    other = await identity.sign_up("alice", email="other@example.test")
    assert other.status == 200


@pytest.mark.parametrize("mode", ["optional"])
async def test_where_it_is_optional_people_sign_in_before(
    identity: IdentityClient, mail_server: MailServer
) -> None:
    user = await identity.signed_in("alice")
    assert (await me(identity, user["accessToken"]))["emailVerified"] is False
    mail = await mail_server.next_to(ALICE)

    assert (await verify(identity, mail.token)).status == 200
    assert (await me(identity, user["accessToken"]))["emailVerified"] is True


@pytest.mark.parametrize("mode", ["optional"])
async def test_no_link_is_mailed_to_a_disabled_user(
    identity: IdentityClient, mail_server: MailServer, database_url: str
) -> None:
    bob = await identity.signed_in("bob")
    await identity.sign_up("alice")
    await mail_server.next_to("bob@example.test")
    await mail_server.next_to(ALICE)
    await create_admin(database_url)
    admin = (await identity.sign_in("boss")).json["accessToken"]
    body = {"disabled": True}
    await identity.call("PATCH", f"/api/users/{bob['id']}", admin, json=body)

    for email in ("bob@example.test", ALICE):
        assert (await resend(identity, email)).status == 202
    await mail_server.next_to(ALICE)

    assert not mail_server.to("bob@example.test")


@pytest.mark.parametrize("mode", ["optional"])
async def test_a_reset_by_mail_verifies_the_address(
    identity: IdentityClient, mail_server: MailServer
) -> None:
    await identity.sign_up("alice")
    await mail_server.next_to(ALICE)
    await identity.send("POST", "/api/auth/password-reset", json={"email": ALICE})
    mail = await mail_server.next_to(ALICE)
    await identity.send(
        "POST",
        "/api/auth/password-reset/confirm",
        json={"token": mail.token, "password": OTHER_PASSWORD},
    )

    signed_in = (await identity.sign_in("alice", OTHER_PASSWORD)).json
    assert (await me(identity, signed_in["accessToken"]))["emailVerified"] is True


def test_verification_needs_mail_and_codes_need_verification() -> None:
    for environ in (
        {"IDENTITY_EMAIL_VERIFICATION": "required"},
        {"IDENTITY_SIGN_IN_CODES": "on", "IDENTITY_MAIL_URL": "smtps://mail.test"},
    ):
        with pytest.raises(SettingsError):
            identity_settings("sqlite+aiosqlite:///x", **environ)


@pytest.mark.parametrize("mode", ["optional"])
async def test_a_domain_in_letters_of_its_own_is_written_to_in_ascii(
    identity: IdentityClient, mail_server: MailServer
) -> None:
    signed_up = await identity.sign_up("alice", email="alice@b\u00fccher.test")
    assert signed_up.status == 200
    mail = await mail_server.next_to("alice@xn--bcher-kva.test")
    assert str(mail.message["To"]) == "alice@xn--bcher-kva.test"
    assert (await verify(identity, mail.token)).status == 200
