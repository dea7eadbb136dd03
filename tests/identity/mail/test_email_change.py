import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Final

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
from tests.support.mail_server import Mail, MailServer

from identity_service.composition import Services
from identity_service.domain.accounts.emails import EmailAddress
from identity_service.domain.accounts.roles import USER
from identity_service.domain.accounts.usernames import Username
from identity_service.domain.accounts.users import NewUser
from identity_service.domain.errors import OneTimeTokenRefusedError
from identity_service.domain.sessions.sessions import Device
from identity_service.settings import Settings
from identity_service.usecases.importing.import_users import ImportedUsers, Outcome

OLD: Final = "alice@example.test"
NEW: Final = "alice@elsewhere.test"


async def ask(identity: IdentityClient, access_token: str, email: str = NEW) -> Answer:
    return await identity.call(
        "POST", "/api/users/me/email", access_token, json={"email": email}
    )


async def use(identity: IdentityClient, what: str, token: str) -> Answer:
    return await identity.send(
        "POST", f"/api/auth/email-change/{what}", json={"token": token}
    )


async def changed(identity: IdentityClient, mail_server: MailServer) -> Mail:
    """Change alice's address; return the mail that undoes it."""
    user = await identity.signed_in("alice")
    assert (await ask(identity, user["accessToken"])).status == 202
    mail = await mail_server.next_to(NEW)
    assert mail.page == "/email-change"
    assert (await use(identity, "confirm", mail.token)).status == 200
    return await mail_server.next_to(OLD)


async def email_of_alice(identity: IdentityClient) -> str:
    user = (await identity.sign_in("alice")).json
    assert user["email"] in {OLD, NEW}
    return str(user["email"])


async def test_an_address_is_changed_once_the_new_one_confirms_it(
    identity: IdentityClient, mail_server: MailServer
) -> None:
    user = await identity.signed_in("alice")
    await ask(identity, user["accessToken"])
    assert await email_of_alice(identity) == OLD
    mail = await mail_server.next_to(NEW)
    await use(identity, "confirm", mail.token)

    assert await email_of_alice(identity) == NEW
    told = await mail_server.next_to(OLD)
    assert NEW in told.text
    assert (await use(identity, "confirm", mail.token)).status == 400


async def test_the_old_address_undoes_the_change_and_locks_everybody_out(
    identity: IdentityClient, mail_server: MailServer
) -> None:
    undo = await changed(identity, mail_server)
    thief = (await identity.sign_in("alice")).json
    assert undo.page == "/email-change-undo"

    assert (await use(identity, "undo", undo.token)).status == 200

    assert not await identity.is_accepted(thief["accessToken"])
    assert (await identity.sign_in("alice")).status == 401
    reset = await mail_server.next_to(OLD)
    answer = await identity.send(
        "POST",
        "/api/auth/password-reset/confirm",
        json={"token": reset.token, "password": OTHER_PASSWORD},
    )
    assert answer.status == 200
    signed_in = (await identity.sign_in("alice", OTHER_PASSWORD)).json
    assert signed_in["email"] == OLD


async def test_a_reset_by_the_new_address_does_not_keep_the_old_one_from_undoing(
    identity: IdentityClient, mail_server: MailServer
) -> None:
    undo = await changed(identity, mail_server)
    await identity.send("POST", "/api/auth/password-reset", json={"email": NEW})
    reset = await mail_server.next_to(NEW)
    await identity.send(
        "POST",
        "/api/auth/password-reset/confirm",
        json={"token": reset.token, "password": OTHER_PASSWORD},
    )

    assert (await use(identity, "undo", undo.token)).status == 200
    assert (await identity.sign_in("alice", OTHER_PASSWORD)).status == 401


@pytest.mark.parametrize(
    "path",
    [
        "email-verification",
        "email-change/confirm",
        "email-change/undo",
        "factor-change/undo",
        "password-reset/confirm",
    ],
)
async def test_a_token_that_is_refused_is_recorded(
    identity: IdentityClient, database_url: str, path: str
) -> None:
    body = {"token": "A" * 64}
    if path == "password-reset/confirm":
        body["password"] = OTHER_PASSWORD
    refused = await identity.send("POST", f"/api/auth/{path}", json=body)
    assert (refused.status, refused.json["code"]) == (400, "token_refused")

    await create_admin(database_url)
    admin = (await identity.sign_in("boss")).json["accessToken"]
    events = await identity.events(admin, action="account.token_refused")
    assert [event["address"] for event in events] == ["127.0.0.1"]


async def test_an_address_that_nobody_can_bring_back_is_free_for_an_import(
    identity: IdentityClient,
    mail_server: MailServer,
    clock: MovableClock,
    settings: Settings,
) -> None:
    """However long ago its owner signed up elsewhere."""
    await changed(identity, mail_server)
    async with Services(settings, clock=clock) as services:
        carol = NewUser(
            username=Username.parse("carol"),
            email=EmailAddress.parse(OLD),
            password_hash="$2b$04$bjeJVpYhLZOgyXE8iDP2lO4aXl36o2fzAIJcnFyQT/gR1yzW5sJ7y",
            roles=frozenset({USER}),
            created_at=clock() - timedelta(days=365),
        )
        imports = ImportedUsers(services.database)
        taken = await imports.add([carol])
        clock.advance(timedelta(hours=72))
        free = await imports.add([carol])

    assert (taken, free) == ([Outcome.EMAIL_TAKEN], [Outcome.IMPORTED])


async def test_an_address_that_is_confirmed_again_is_verified_and_not_changed(
    identity: IdentityClient, mail_server: MailServer
) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]
    assert (await ask(identity, token, OLD)).status == 202
    mail = await mail_server.next_to(OLD)

    assert (await use(identity, "confirm", mail.token)).status == 200

    export = (await identity.call("GET", "/api/users/me/export", token)).json
    assert export["user"]["emailVerified"] is True
    assert (export["tokens"], export["mails"]) == ([], [])


async def test_a_change_can_be_undone_for_72_hours(
    identity: IdentityClient, mail_server: MailServer, clock: MovableClock
) -> None:
    undo = await changed(identity, mail_server)
    clock.advance(timedelta(hours=72))

    assert (await use(identity, "undo", undo.token)).status == 400
    assert await email_of_alice(identity) == NEW


async def test_what_was_mailed_to_the_old_address_is_good_no_more(
    identity: IdentityClient, mail_server: MailServer
) -> None:
    user = await identity.signed_in("alice")
    await identity.send("POST", "/api/auth/password-reset", json={"email": OLD})
    reset = await mail_server.next_to(OLD)
    await ask(identity, user["accessToken"])
    await use(identity, "confirm", (await mail_server.next_to(NEW)).token)

    answer = await identity.send(
        "POST",
        "/api/auth/password-reset/confirm",
        json={"token": reset.token, "password": OTHER_PASSWORD},
    )
    assert answer.status == 400


async def test_nobody_learns_that_a_new_address_has_an_account(
    identity: IdentityClient, mail_server: MailServer
) -> None:
    await identity.sign_up("bob", email=NEW)
    user = await identity.signed_in("alice")
    taken = await ask(identity, user["accessToken"])
    free = await ask(identity, user["accessToken"], "free@elsewhere.test")

    assert (taken.status, taken.text) == (free.status, free.text)
    mail = await mail_server.next_to(NEW)
    assert mail.subject == "You already have an account"
    assert "http" not in mail.text


async def test_an_address_taken_meanwhile_stays_with_whoever_has_it(
    identity: IdentityClient, mail_server: MailServer
) -> None:
    user = await identity.signed_in("alice")
    await ask(identity, user["accessToken"])
    mail = await mail_server.next_to(NEW)
    await identity.sign_up("bob", email=NEW)

    assert (await use(identity, "confirm", mail.token)).status == 400
    assert await email_of_alice(identity) == OLD


async def test_a_change_asks_for_a_fresh_check(
    identity: IdentityClient, clock: MovableClock
) -> None:
    user = await identity.signed_in("alice")
    clock.advance(timedelta(minutes=11))
    answer = await ask(identity, user["accessToken"])
    assert (answer.status, answer.json["code"]) == (403, "fresh_check_required")


async def test_a_token_for_one_thing_is_good_for_no_other(
    identity: IdentityClient, mail_server: MailServer
) -> None:
    undo = await changed(identity, mail_server)
    assert (await use(identity, "confirm", undo.token)).status == 400
    reset = await identity.send(
        "POST",
        "/api/auth/password-reset/confirm",
        json={"token": undo.token, "password": OTHER_PASSWORD},
    )
    assert reset.status == 400


async def test_where_addresses_are_verified_none_is_just_set(
    database_url: str, mail_server: MailServer
) -> None:
    settings = identity_settings(
        database_url,
        IDENTITY_MAIL_URL=mail_server.url,
        IDENTITY_EMAIL_VERIFICATION="optional",
    )
    async with running_identity(settings) as identity:
        user = await identity.signed_in("alice")
        answer = await identity.call(
            "PATCH", "/api/users/me", user["accessToken"], json={"email": NEW}
        )
    assert (answer.status, answer.json["code"]) == (409, "email_unconfirmed")


@pytest.mark.usefixtures("identity")
async def test_only_a_token_that_undoes_something_costs_a_hash(
    settings: Settings,
) -> None:
    async with Services(settings) as services:
        services.hasher.close()  # whoever asks it for a hash fails
        with pytest.raises(OneTimeTokenRefusedError):
            await services.accounts.undoing.undo_email_change(
                "A" * 64, Device("test", "::1")
            )


async def reset_password(identity: IdentityClient, mail_server: MailServer) -> None:
    body = {"email": OLD}
    await identity.send("POST", "/api/auth/password-reset", json=body)
    new = {"token": (await mail_server.next_to(OLD)).token, "password": OTHER_PASSWORD}
    path = "/api/auth/password-reset/confirm"
    assert (await identity.send("POST", path, json=new)).status == 200


async def change_password(identity: IdentityClient, mail_server: MailServer) -> None:
    del mail_server
    owner = (await identity.sign_in("alice")).json["accessToken"]
    body = {"currentPassword": PASSWORD, "newPassword": OTHER_PASSWORD}
    answer = await identity.call("POST", "/api/users/me/password", owner, json=body)
    assert answer.status == 200


@pytest.mark.parametrize("act", [reset_password, change_password])
async def test_change_that_a_thief_asked_for_ends_with_the_password(
    identity: IdentityClient,
    mail_server: MailServer,
    act: Callable[[IdentityClient, MailServer], Awaitable[None]],
) -> None:
    thief = await identity.signed_in("alice")
    await ask(identity, thief["accessToken"])
    mail = await mail_server.next_to(NEW)

    await act(identity, mail_server)

    assert (await use(identity, "confirm", mail.token)).status == 400


async def test_address_that_is_ones_name_is_not_left_behind(
    identity: IdentityClient, mail_server: MailServer
) -> None:
    assert (await identity.sign_up(OLD, email=OLD)).status == 200
    token = (await identity.sign_in(OLD)).json["accessToken"]
    refused = await ask(identity, token)
    assert refused.json["errors"][0]["code"] == "username_is_address"

    body = {"username": "alice"}
    await identity.call("PATCH", "/api/users/me", token, json=body)
    assert (await ask(identity, token)).status == 202
    body = {"username": OLD}
    await identity.call("PATCH", "/api/users/me", token, json=body)
    mail = await mail_server.next_to(NEW)
    assert (await use(identity, "confirm", mail.token)).status == 400


async def set_address(
    identity: IdentityClient, access_token: str, email: str = NEW, who: object = "me"
) -> Answer:
    return await identity.call(
        "PATCH", f"/api/users/{who}", access_token, json={"email": email}
    )


async def set_by_owner(identity: IdentityClient, admin: str) -> None:
    del admin
    token = (await identity.sign_in("alice")).json["accessToken"]
    assert (await set_address(identity, token)).status == 200


async def set_by_admin(identity: IdentityClient, admin: str) -> None:
    user = (await identity.sign_in("alice")).json
    assert (await set_address(identity, admin, who=user["id"])).status == 200


@pytest.mark.parametrize("act", [set_by_owner, set_by_admin])
async def test_an_address_that_is_just_set_is_announced_to_the_old_one_and_undone(
    identity: IdentityClient,
    mail_server: MailServer,
    admin: str,
    clock: MovableClock,
    act: Callable[[IdentityClient, str], Awaitable[None]],
) -> None:
    await identity.sign_up("alice")
    await act(identity, admin)
    thief = (await identity.sign_in("alice")).json
    told = await mail_server.next_to(OLD)
    assert told.subject == "Your e-mail address was changed"
    assert NEW in told.text
    assert told.page == "/email-change-undo"

    clock.advance(timedelta(hours=71))
    assert (await use(identity, "undo", told.token)).status == 200

    assert not await identity.is_accepted(thief["accessToken"])
    reset = await mail_server.next_to(OLD)
    body = {"token": reset.token, "password": OTHER_PASSWORD}
    path = "/api/auth/password-reset/confirm"
    assert (await identity.send("POST", path, json=body)).status == 200
    assert (await identity.sign_in("alice", OTHER_PASSWORD)).json["email"] == OLD


async def test_an_account_that_a_thief_wanted_deleted_stays_once_that_is_undone(
    settings: Settings,
    identity: IdentityClient,
    mail_server: MailServer,
    clock: MovableClock,
) -> None:
    undo = await changed(identity, mail_server)
    thief = (await identity.sign_in("alice")).json["accessToken"]
    left = await identity.call("DELETE", "/api/users/me", thief)
    assert left.status == 200, left.text

    assert (await use(identity, "undo", undo.token)).status == 200

    clock.advance(timedelta(days=15))
    async with Services(settings, clock=clock) as services:
        assert await services.accounts.departures.prune() == 0


async def test_no_account_is_gone_before_a_change_of_its_address_is_undone(
    database_url: str, mail_server: MailServer, clock: MovableClock
) -> None:
    settings = identity_settings(
        database_url, IDENTITY_MAIL_URL=mail_server.url, IDENTITY_DELETION_GRACE="0"
    )
    async with running_identity(settings, clock=clock) as identity:
        undo = await changed(identity, mail_server)
        thief = (await identity.sign_in("alice")).json["accessToken"]
        assert (await identity.call("DELETE", "/api/users/me", thief)).status == 200
        assert not await identity.is_accepted(thief)

        assert (await use(identity, "undo", undo.token)).status == 200
        assert (await mail_server.next_to(OLD)).page == "/password-reset"


async def test_no_account_is_gone_before_a_change_after_its_farewell_is_undone(
    database_url: str, mail_server: MailServer, clock: MovableClock
) -> None:
    settings = identity_settings(
        database_url, IDENTITY_MAIL_URL=mail_server.url, IDENTITY_DELETION_GRACE="3600"
    )
    async with running_identity(settings, clock=clock) as identity:
        thief = (await identity.signed_in("alice"))["accessToken"]
        await ask(identity, thief)
        mail = await mail_server.next_to(NEW)
        assert (await identity.call("DELETE", "/api/users/me", thief)).status == 200
        await mail_server.next_to(OLD)
        assert (await use(identity, "confirm", mail.token)).status == 200
        undo = await mail_server.next_to(OLD)
        clock.advance(timedelta(hours=2))

        async with Services(settings, clock=clock) as services:
            while await services.accounts.departures.prune():
                pass
            assert (await use(identity, "undo", undo.token)).status == 200
            clock.advance(timedelta(days=15))
            assert await services.accounts.departures.prune() == 0


async def test_nothing_is_announced_where_an_address_stays(
    identity: IdentityClient, mail_server: MailServer
) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]
    assert (await set_address(identity, token, OLD)).status == 200
    assert (await set_address(identity, token, OLD.upper())).status == 200
    assert (await set_address(identity, token)).status == 200

    assert NEW in (await mail_server.next_to("ALICE@example.test")).text
    assert not mail_server.to(OLD)


async def test_an_address_that_only_folds_to_the_same_is_announced_as_another(
    identity: IdentityClient, mail_server: MailServer
) -> None:
    assert (await identity.sign_up("alice", email="alice@strasse.test")).status == 200
    token = (await identity.sign_in("alice")).json["accessToken"]

    assert (await set_address(identity, token, "alice@stra\u00dfe.test")).status == 200

    told = await mail_server.next_to("alice@strasse.test")
    assert (await use(identity, "undo", told.token)).status == 200


async def test_without_mail_an_address_is_set_and_no_token_is_made(
    database_url: str,
) -> None:
    async with running_identity(identity_settings(database_url)) as identity:
        token = (await identity.signed_in("alice"))["accessToken"]
        assert (await set_address(identity, token)).status == 200
        export = await identity.call("GET", "/api/users/me/export", token)
    assert export.json["tokens"] == []


async def test_disabling_takes_links_that_undo_something_back(
    identity: IdentityClient, mail_server: MailServer, admin: str
) -> None:
    await identity.sign_up("alice")
    user = (await identity.sign_in("alice")).json
    path = f"/api/users/{user['id']}"
    assert (await set_address(identity, admin, who=user["id"])).status == 200
    undo = await mail_server.next_to(OLD)

    for disabled in (True, False):
        body = {"disabled": disabled}
        assert (await identity.call("PATCH", path, admin, json=body)).status == 200

    assert (await use(identity, "undo", undo.token)).status == 400
    assert await email_of_alice(identity) == NEW


async def test_nobody_gets_an_address_that_may_be_brought_back(
    identity: IdentityClient, mail_server: MailServer
) -> None:
    undo = await changed(identity, mail_server)
    thief = (await identity.signed_in("mallory"))["accessToken"]

    for taken in (
        await identity.sign_up("mallory2", email=OLD),
        await set_address(identity, thief, OLD.upper()),
    ):
        assert (taken.status, taken.json["code"]) == (400, "email_taken")
    assert (await ask(identity, thief, OLD)).status == 202
    by_mail = await mail_server.next_to(OLD)
    assert (await use(identity, "confirm", by_mail.token)).status == 400

    assert (await use(identity, "undo", undo.token)).status == 200
    assert (await identity.sign_up("mallory2", email=NEW)).status == 200


async def test_an_address_is_free_once_it_cannot_be_brought_back(
    identity: IdentityClient, mail_server: MailServer, clock: MovableClock
) -> None:
    await changed(identity, mail_server)
    clock.advance(timedelta(hours=72))
    assert (await identity.sign_up("bob", email=OLD)).status == 200


async def test_who_gave_an_address_up_may_have_it_again(
    identity: IdentityClient, mail_server: MailServer
) -> None:
    await changed(identity, mail_server)
    token = (await identity.sign_in("alice")).json["accessToken"]
    assert (await set_address(identity, token, OLD)).status == 200


async def test_an_address_is_nobodys_in_the_moment_that_it_is_given_up(
    settings: Settings, mail_server: MailServer
) -> None:
    async with (
        running_identity(settings) as here,
        running_identity(settings) as there,
    ):
        token = (await here.signed_in("alice"))["accessToken"]
        set_now, *sign_ups = await asyncio.gather(
            set_address(here, token),
            *(there.sign_up(f"mallory{n}", email=OLD) for n in range(6)),
        )
        assert set_now.status == 200
        assert {each.json.get("code") for each in sign_ups} == {"email_taken"}
        undo = await mail_server.next_to(OLD)
        assert (await use(here, "undo", undo.token)).status == 200


@pytest.fixture
async def where_it_is_confirmed(
    database_url: str, mail_server: MailServer, clock: MovableClock
) -> AsyncIterator[IdentityClient]:
    settings = identity_settings(
        database_url,
        IDENTITY_MAIL_URL=mail_server.url,
        IDENTITY_EMAIL_VERIFICATION="optional",
    )
    async with running_identity(settings, clock=clock) as client:
        yield client


async def test_a_profile_that_repeats_the_address_changes_the_name_alone(
    where_it_is_confirmed: IdentityClient, clock: MovableClock
) -> None:
    identity = where_it_is_confirmed
    token = (await identity.signed_in("alice"))["accessToken"]
    clock.advance(timedelta(minutes=11))
    body = {"username": "alicia", "email": OLD}

    answer = await identity.call("PATCH", "/api/users/me", token, json=body)

    assert (answer.status, answer.json["username"]) == (200, "alicia")
    refused = await set_address(identity, token)
    assert refused.json["code"] == "fresh_check_required"
