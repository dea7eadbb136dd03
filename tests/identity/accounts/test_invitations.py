from pathlib import Path
from typing import Any

from tests.support.identity import (
    OTHER_PASSWORD,
    Answer,
    IdentityClient,
    create_admin,
    identity_settings,
    running_identity,
)
from tests.support.mail_server import running_mail_server

EMAIL = "zoe@example.test"


async def create(identity: IdentityClient, admin: str, **members: Any) -> Answer:  # noqa: ANN401
    body = {"username": "zoe", "email": EMAIL, "roles": ["moderator"], **members}
    return await identity.call("POST", "/api/users", admin, json=body)


async def test_who_is_invited_chooses_a_password_by_mail(
    database_url: str, tmp_path: Path
) -> None:
    await create_admin(database_url)
    async with running_mail_server(tmp_path) as mail_server:
        settings = identity_settings(database_url, IDENTITY_MAIL_URL=mail_server.url)
        async with running_identity(settings) as identity:
            admin = (await identity.sign_in("boss")).json["accessToken"]
            answer = await create(identity, admin, invite=True)
            assert answer.status == 201
            assert "temporaryPassword" not in answer.json
            mail = await mail_server.next_to(EMAIL)
            confirmed = await identity.send(
                "POST",
                "/api/auth/password-reset/confirm",
                json={"token": mail.token, "password": OTHER_PASSWORD},
            )
            assert confirmed.status == 200
            signed_in = await identity.sign_in("zoe", OTHER_PASSWORD)
            me = await identity.call(
                "GET", "/api/users/me", signed_in.json["accessToken"]
            )
    assert signed_in.json["roles"] == ["ROLE_MODERATOR"]
    assert me.json["emailVerified"] is True


async def test_who_is_not_invited_gets_a_temporary_password(
    identity: IdentityClient, admin: str
) -> None:
    answer = await create(identity, admin, roles=None)

    assert (answer.status, answer.json["roles"]) == (201, ["ROLE_USER"])
    made = await identity.call("GET", answer.headers["Location"], admin)
    assert made.json["username"] == "zoe"
    signed_in = await identity.sign_in("zoe", answer.json["temporaryPassword"])
    assert signed_in.json["passwordChangeRequired"] is True


async def test_what_a_new_user_may_do_is_recorded(
    identity: IdentityClient, admin: str
) -> None:
    made = await create(identity, admin, roles=["admin", "user"])
    alice = await identity.signed_in("alice")

    for user, action, roles in (
        (made.json, "account.created", "admin user"),
        (alice, "account.signed_up", "user"),
    ):
        events = await identity.events(admin, subject=user["id"], action=action)
        assert [event["details"] for event in events] == [{"roles": roles}]


async def test_what_cannot_be_is_refused(identity: IdentityClient, admin: str) -> None:
    user = await identity.signed_in("alice")
    by_user = await create(identity, user["accessToken"])
    taken = await create(identity, admin, username="alice")
    foreign = await create(identity, admin, username="alice@example.test")
    unknown = await create(identity, admin, roles=["root"])
    uninvited = await create(identity, admin, invite=True)

    assert by_user.status == 403
    assert taken.json["code"] == "username_taken"
    assert foreign.json["errors"][0]["code"] == "username_is_address"
    assert unknown.json["code"] == "unknown_role"
    assert (uninvited.status, uninvited.json["code"]) == (404, "not_offered")
