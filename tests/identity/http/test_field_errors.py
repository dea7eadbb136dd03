"""What is wrong with a request, member by member, in the reader's language."""

from typing import Any

import pytest
from tests.support.identity import ISSUER, OTHER_PASSWORD, PASSWORD, IdentityClient

from identity_service.handlers.field_errors import MOST_ERRORS

GOOD = {"username": "bob", "email": "bob@example.test", "password": PASSWORD}


@pytest.mark.parametrize(
    ("changed", "errors"),
    [
        ({"password": "short"}, [("password", "password_too_short", {"minimum": 8})]),
        ({"username": "alice"}, [("username", "username_taken", {})]),
        ({"email": "alice@example.test"}, [("email", "email_taken", {})]),
        ({"roles": ["root"]}, [("roles", "unknown_role", {"name": "root"})]),
        (
            {"roles": ["admin"]},
            [("roles", "role_not_self_assignable", {"name": "admin"})],
        ),
        (
            {"username": None, "email": 1},
            [("username", "not_text", {}), ("email", "not_text", {})],
        ),
    ],
)
async def test_every_member_at_fault_has_a_code_and_its_parameters(
    identity: IdentityClient,
    changed: dict[str, Any],
    errors: list[tuple[str, str, dict[str, Any]]],
) -> None:
    await identity.sign_up("alice")

    answer = await identity.send("POST", "/api/auth/signup", json=GOOD | changed)

    told = [(e["field"], e["code"], e["parameters"]) for e in answer.json["errors"]]
    assert told == errors
    assert answer.json["type"] == f"{ISSUER}/problems/{answer.json['code']}"
    assert answer.message == " ".join(e["message"] for e in answer.json["errors"])


async def test_a_new_password_is_called_as_the_request_calls_it(
    identity: IdentityClient,
) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]
    passwords = {"currentPassword": PASSWORD, "newPassword": "short"}

    answer = await identity.call(
        "POST", "/api/users/me/password", token, json=passwords
    )

    assert [each["field"] for each in answer.json["errors"]] == ["newPassword"]


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/jwks.json",
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
        "/api/auth/statuslists",
    ],
)
@pytest.mark.parametrize("query", ["verbose=1", "a=1&a=2"])
async def test_documents_refuse_parameters_that_nobody_reads(
    identity: IdentityClient, path: str, query: str
) -> None:
    answer = await identity.send("GET", f"{path}?{query}")

    assert (answer.status, answer.json["errors"][0]["code"]) == (400, "unknown")


async def test_oauth_refuses_parameters_in_the_url(identity: IdentityClient) -> None:
    answer = await identity.send("POST", "/oauth2/revoke?token=x", data={"token": "x"})

    assert (answer.status, answer.json["errors"][0]["field"]) == (400, "token")


async def test_json_that_is_sent_as_a_form_is_recognised(
    identity: IdentityClient,
) -> None:
    answer = await identity.send(
        "POST",
        "/api/auth/signin",
        data=b'{"username": "alice"}',
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )

    assert (answer.status, answer.json["code"]) == (400, "json_sent_as_form")
    assert "Content-Type" in answer.message


async def test_another_media_type_is_refused_with_those_there_are(
    identity: IdentityClient,
) -> None:
    headers = {"Content-Type": "text/plain", "Accept-Language": "de"}

    answer = await identity.send("POST", "/api/auth/signin", data=b"x", headers=headers)

    assert answer.status == 415
    assert answer.headers["Accept"] == (
        "application/json, application/x-www-form-urlencoded"
    )
    assert answer.message == (
        "Der Rumpf muss application/json oder application/x-www-form-urlencoded sein."
    )


async def test_no_more_roles_are_named_than_there_may_be(
    identity: IdentityClient,
) -> None:
    answer = await identity.sign_up("alice", roles=["user"] * 101)

    assert (answer.status, answer.json["code"]) == (400, "invalid_fields")
    assert answer.message == "roles has at most 100 entries."


@pytest.mark.parametrize("roles", ["user", 1, {}, [1], ["user", None], [["user"]]])
async def test_roles_are_a_list_of_texts(
    identity: IdentityClient, roles: object
) -> None:
    answer = await identity.sign_up("alice", roles=roles)

    assert (answer.status, answer.message) == (400, "roles must be a list of texts.")


async def test_what_was_done_is_in_the_readers_language(
    identity: IdentityClient,
) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]

    answer = await identity.send(
        "POST",
        "/api/users/me/password",
        json={"currentPassword": PASSWORD, "newPassword": OTHER_PASSWORD},
        headers={
            "Authorization": f"Bearer {token}",
            "Accept-Language": "de-CH, en;q=0.5",
        },
    )

    assert answer.message == "Das Passwort ist geändert."
    assert answer.headers["Content-Language"] == "de"
    assert answer.headers["Vary"] == "Accept-Language"


async def test_a_body_of_thousands_of_faults_gets_a_short_response(
    identity: IdentityClient,
) -> None:
    body = {f"{number:x}": 0 for number in range(9000)}

    answer = await identity.send("POST", "/api/auth/password-reset", json=body)

    assert answer.status == 400
    assert len(answer.json["errors"]) == MOST_ERRORS
    assert len(answer.json["detail"]) <= 8192


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/api/users"), ("PATCH", "/api/users/1"), ("PATCH", "/api/users/me")],
)
async def test_of_two_members_at_fault_both_are_named(
    identity: IdentityClient, admin: str, method: str, path: str
) -> None:
    body = {"username": "a\0b", "email": "nobody"}
    answer = await identity.call(method, path, admin, json=body)
    assert [each["field"] for each in answer.json["errors"]] == ["username", "email"]
