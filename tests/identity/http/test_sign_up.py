import base64

import pytest
from tests.support.corpora import corpus
from tests.support.identity import (
    OTHER_PASSWORD,
    PASSWORD,
    IdentityClient,
    identity_settings,
    running_identity,
)

GOOD = {"username": "alice", "email": "alice@example.test", "password": PASSWORD}


async def test_sign_up_registers_a_user_with_the_role_user(
    identity: IdentityClient,
) -> None:
    answer = await identity.sign_up("alice")

    assert answer.status == 200
    assert answer.json == {"message": "User registered successfully!"}
    assert answer.headers["Cache-Control"] == "no-store"
    assert (await identity.sign_in("alice")).json["roles"] == ["ROLE_USER"]


async def test_a_taken_username_is_reported_before_a_taken_email(
    identity: IdentityClient,
) -> None:
    await identity.sign_up("alice")

    again = await identity.sign_up("ALICE")
    same_email = await identity.sign_up("bob", email="Alice@Example.test")

    assert (again.status, again.message) == (
        400,
        "Failed! Username is already in use!",
    )
    assert (same_email.status, same_email.message) == (
        400,
        "Failed! Email is already in use!",
    )


@pytest.mark.parametrize(
    ("roles", "status", "message"),
    [
        pytest.param(None, 200, "User registered successfully!", id="null"),
        pytest.param([], 200, "User registered successfully!", id="none"),
        pytest.param(["user"], 200, "User registered successfully!", id="user"),
        pytest.param(["root"], 400, "Failed! Role does not exist = root", id="unknown"),
        pytest.param(
            ["admin"],
            403,
            "Failed! Role may not be self-assigned = admin",
            id="P12 admin",
        ),
        pytest.param(
            ["user", "moderator"],
            403,
            "Failed! Role may not be self-assigned = moderator",
            id="P12 one of two",
        ),
    ],
)
async def test_p12_roles_at_sign_up(
    identity: IdentityClient, roles: list[str] | None, status: int, message: str
) -> None:
    answer = await identity.sign_up("alice", roles=roles)

    assert (answer.status, answer.message) == (status, message)
    if status == 200:
        assert (await identity.sign_in("alice")).json["roles"] == ["ROLE_USER"]
    else:
        assert (await identity.sign_in("alice")).status == 401


async def test_roles_that_the_operator_makes_self_assignable(database_url: str) -> None:
    settings = identity_settings(
        database_url, IDENTITY_SELF_ASSIGNABLE_ROLES="user,moderator"
    )
    async with running_identity(settings) as identity:
        await identity.sign_up("alice", roles=["moderator", "user"])
        answer = await identity.sign_in("alice")

    assert answer.json["roles"] == ["ROLE_USER", "ROLE_MODERATOR"]


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param({"is_admin": True}, id="P12 is_admin"),
        pytest.param({"id": 1}, id="P12 id"),
        pytest.param({"password_is_temporary": 5, "__proto__": {}}, id="P12 internals"),
    ],
)
async def test_p12_members_that_nobody_asked_for_are_ignored(
    identity: IdentityClient, extra: dict[str, object]
) -> None:
    assert (await identity.sign_up("alice", **extra)).status == 200
    assert (await identity.sign_in("alice")).json["roles"] == ["ROLE_USER"]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        pytest.param({}, {"username", "email", "password"}, id="nothing"),
        pytest.param({**GOOD, "username": None}, {"username"}, id="null"),
        pytest.param({**GOOD, "username": ["alice", "mod"]}, {"username"}, id="list"),
        pytest.param({**GOOD, "username": {"$ne": 1}}, {"username"}, id="object"),
        pytest.param({**GOOD, "email": 1}, {"email"}, id="number"),
        pytest.param({**GOOD, "password": True}, {"password"}, id="boolean"),
        pytest.param({**GOOD, "roles": "admin"}, {"roles"}, id="roles as text"),
        pytest.param({**GOOD, "roles": [1, 2]}, {"roles"}, id="roles as numbers"),
        pytest.param({**GOOD, "roles": {"0": "user"}}, {"roles"}, id="roles as object"),
        pytest.param(
            {"username": "a\x00b", "email": "nobody", "password": "short"},
            {"username", "email", "password"},
            id="all malformed",
        ),
        pytest.param({**GOOD, "username": "a" * 65}, {"username"}, id="long name"),
        pytest.param({**GOOD, "password": "é" * 7}, {"password"}, id="P1 7 characters"),
    ],
)
async def test_each_bad_field_has_one_entry(
    identity: IdentityClient, body: dict[str, object], fields: set[str]
) -> None:
    answer = await identity.send("POST", "/api/auth/signup", json=body)

    assert answer.status == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert {each["field"] for each in answer.json["errors"]} == fields
    assert len(answer.json["errors"]) == len(fields)
    assert all(each["code"] and each["message"] for each in answer.json["errors"])
    assert answer.message


@pytest.mark.parametrize(
    ("members", "message"),
    [
        pytest.param({"password": "short"}, "at least 8 characters", id="password"),
        pytest.param({"password": None}, "The password must be text.", id="null"),
        pytest.param({"username": " "}, "A user name is required.", id="blank"),
        pytest.param({"username": "ro\u200bsa"}, "U+200B", id="zero-width space"),
        pytest.param({"username": "rosa 😀"}, "U+1F600", id="emoji"),
        pytest.param({"username": "ro  sa"}, "single spaces", id="two spaces"),
        pytest.param({"email": "rosa"}, "not an e-mail address", id="address"),
    ],
)
async def test_people_read_what_is_wrong_and_no_members_name(
    identity: IdentityClient, members: dict[str, object], message: str
) -> None:
    answer = await identity.send("POST", "/api/auth/signup", json={**GOOD, **members})

    assert answer.status == 400
    assert message in answer.message
    assert f"{next(iter(members))}:" not in answer.message


SPACES = ["{} ", " {}", "\t{}\n", "\u00a0{}\u3000"]


@pytest.mark.parametrize("around", SPACES)
async def test_outer_spaces_are_no_part_of_a_name_or_address(
    identity: IdentityClient, around: str
) -> None:
    name = around.format("rosa")
    email = around.format("rosa@example.test")

    signed_up = await identity.sign_up(name, email=email)
    taken = await identity.sign_up("rosa", email="other@example.test")
    signed_in = [await identity.sign_in(each) for each in ("rosa", name)]
    by_form = await identity.send(
        "POST", "/api/auth/signin", data={"username": name, "password": PASSWORD}
    )

    assert signed_up.status == 200
    assert taken.json["code"] == "username_taken"
    assert (signed_in[0].status, signed_in[1].status, by_form.status) == (200, 200, 200)
    assert signed_in[1].json["username"] == "rosa"
    assert signed_in[1].json["email"] == "rosa@example.test"


@pytest.mark.parametrize("around", SPACES)
async def test_outer_spaces_are_trimmed_when_a_user_is_renamed(
    identity: IdentityClient, around: str
) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]
    changes = {
        "username": around.format("rosa"),
        "email": around.format("rosa@example.test"),
    }

    changed = await identity.call("PATCH", "/api/users/me", token, json=changes)

    assert (changed.json["username"], changed.json["email"]) == (
        "rosa",
        "rosa@example.test",
    )


async def test_spaces_around_a_password_are_part_of_it(
    identity: IdentityClient,
) -> None:
    await identity.sign_up("rosa", password=f" {PASSWORD} ")

    assert (await identity.sign_in("rosa", PASSWORD)).status == 401
    assert (await identity.sign_in("rosa", f" {PASSWORD} ")).status == 200


async def test_forms_are_accepted(identity: IdentityClient) -> None:
    signed_up = await identity.send(
        "POST", "/api/auth/signup", data={**GOOD, "roles": "user"}
    )
    signed_in = await identity.send(
        "POST", "/api/auth/signin", data={"username": "alice", "password": PASSWORD}
    )

    assert (signed_up.status, signed_in.status) == (200, 200)


@pytest.mark.parametrize("name", ["roles", "roles[]", "roles[0]"])
@pytest.mark.parametrize(
    ("role", "status"), [("user", 200), ("", 200), ("admin", 403), ("root", 400)]
)
async def test_forms_name_roles_as_clients_write_lists(
    identity: IdentityClient, name: str, role: str, status: int
) -> None:
    signed_up = await identity.send(
        "POST", "/api/auth/signup", data={**GOOD, name: role}
    )

    assert signed_up.status == status
    if status == 200:
        signed_in = await identity.sign_in("alice", PASSWORD)
        assert signed_in.json["roles"] == ["ROLE_USER"]


async def test_a_form_that_repeats_a_field_is_refused(identity: IdentityClient) -> None:
    answer = await identity.send(
        "POST",
        "/api/auth/signin",
        data=f"username=alice&username=mod&password={PASSWORD}",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )

    assert answer.status == 400


@pytest.mark.parametrize("size", [100 * 1024 + 1, 500 * 1024])
async def test_bodies_beyond_100_kb_are_refused(
    identity: IdentityClient, size: int
) -> None:
    answer = await identity.send(
        "POST", "/api/auth/signin", json={**GOOD, "username": "a" * size}
    )

    assert answer.status == 413
    assert answer.json["code"] == "body_too_large"


@pytest.mark.parametrize("content_type", ["text/plain", "multipart/form-data", ""])
async def test_c7_other_media_types_are_refused(
    identity: IdentityClient, content_type: str
) -> None:
    answer = await identity.send(
        "POST",
        "/api/auth/signin",
        data=b'{"username": "alice", "password": "x"}',
        headers={"Content-Type": content_type},
    )

    assert answer.status == 415


@pytest.mark.parametrize("path", ["signup", "signin", "refreshtoken"])
async def test_no_json_whatever_makes_an_error_of_ours(
    identity: IdentityClient, path: str
) -> None:
    for case in corpus("json/parsing.json")["cases"]:
        answer = await identity.send(
            "POST",
            f"/api/auth/{path}",
            data=base64.b64decode(case["body_b64"]),
            headers={"Content-Type": "application/json"},
        )
        assert 400 <= answer.status < 500, case["name"]
        assert answer.headers["Content-Type"] == "application/problem+json", case[
            "name"
        ]
        assert answer.message, case["name"]


async def test_p3_a_password_is_never_cut_off(identity: IdentityClient) -> None:
    long = "密码" * 40
    await identity.sign_up("alice", password=f"{long}one")

    assert (await identity.sign_in("alice", f"{long}one")).status == 200
    assert (await identity.sign_in("alice", f"{long}two")).status == 401
    assert (await identity.sign_in("alice", OTHER_PASSWORD * 50)).status == 401
