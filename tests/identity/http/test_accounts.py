import asyncio
import contextlib
import json
import time
from typing import Any, Final
from urllib.parse import quote

import pytest
from sqlalchemy import delete, event, update
from tests.support.database import connected
from tests.support.identity import (
    OTHER_PASSWORD,
    PASSWORD,
    IdentityClient,
    create_admin,
    identity_settings,
)
from tests.support.tokens import claims_of

from identity_service.composition import Services
from identity_service.domain.accounts.users import AdminOutcome
from identity_service.storage.tables import user_search_words, users


async def test_one_sees_and_changes_ones_own_account(identity: IdentityClient) -> None:
    alice = await identity.signed_in("alice")
    token = alice["accessToken"]

    changed = await identity.call(
        "PATCH", "/api/users/me", token, json={"username": "Alicia"}
    )
    seen = await identity.call("GET", "/api/users/me", token)

    assert changed.json == seen.json
    assert seen.json["id"] == alice["id"]
    assert (seen.json["username"], seen.json["email"]) == (
        "Alicia",
        "alice@example.test",
    )
    assert (await identity.sign_in("alicia")).status == 200
    assert (await identity.sign_in("alice")).status == 401


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"username": "Bob"}, 400, "username_taken"),
        ({"email": "BOB@example.test"}, 400, "email_taken"),
        ({"username": ""}, 400, "invalid_fields"),
        ({"email": "nobody"}, 400, "invalid_fields"),
        ({"username": 1}, 400, "invalid_fields"),
    ],
)
async def test_a_change_that_cannot_be(
    identity: IdentityClient, changes: dict[str, Any], status: int, code: str
) -> None:
    await identity.sign_up("bob")
    token = (await identity.signed_in("alice"))["accessToken"]

    answer = await identity.call("PATCH", "/api/users/me", token, json=changes)

    assert (answer.status, answer.json["code"]) == (status, code)


async def test_p12_nobody_enables_or_promotes_himself(identity: IdentityClient) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]

    answer = await identity.call(
        "PATCH", "/api/users/me", token, json={"roles": ["admin"], "disabled": True}
    )

    assert (answer.status, answer.json["code"]) == (400, "invalid_fields")
    seen = await identity.call("GET", "/api/users/me", token)
    assert seen.json["roles"] == ["ROLE_USER"]
    assert seen.json["disabled"] is False


@pytest.mark.parametrize(
    ("method", "path", "members"),
    [
        ("PATCH", "/api/users/1", {"password": PASSWORD}),
        ("PATCH", "/api/users/1", {"disable": True}),
        ("PATCH", "/api/users/1", {"disabled": False, "id": 2}),
        ("PATCH", "/api/users/me", {"disabled": False}),
        ("PUT", "/api/users/1/roles", {"roles": ["user", "admin"], "role": "admin"}),
        (
            "POST",
            "/api/users/me/password",
            {"currentPassword": PASSWORD, "newPassword": OTHER_PASSWORD, "force": 1},
        ),
        ("DELETE", "/api/users/me", {"after": "2026-01-31"}),
        ("DELETE", "/api/users/1/sessions", {"but": "this one"}),
        ("POST", "/api/users/1/password-reset", {"password": OTHER_PASSWORD}),
        ("POST", "/api/users/me/recovery-codes", {"count": 5}),
        ("POST", "/api/auth/passkeys/options", {"username": "boss"}),
    ],
)
async def test_what_is_not_understood_is_refused_and_not_ignored(
    identity: IdentityClient,
    admin: str,
    method: str,
    path: str,
    members: dict[str, object],
) -> None:
    unknown = list(members)[-1]

    answer = await identity.call(method, path, admin, json=members)

    assert (answer.status, answer.json["code"]) == (400, "invalid_fields")
    assert [each["field"] for each in answer.json["errors"]] == [unknown]
    assert answer.message == f"{unknown} is not a known member."
    assert (await identity.sign_in("boss")).status == 200


async def test_who_may_not_ask_learns_nothing_of_the_body(
    identity: IdentityClient,
) -> None:
    alice = (await identity.signed_in("alice"))["accessToken"]
    members = {"password": OTHER_PASSWORD}
    for token, status in (("", 401), (alice, 403)):
        answer = await identity.call(
            "POST", "/api/users/1/password-reset", token, json=members
        )
        assert answer.status == status


async def test_parameters_that_nobody_reads_are_refused(
    identity: IdentityClient, admin: str
) -> None:
    for method, path in ADMIN_ROUTES + OWN_ROUTES:
        answer = await identity.call(method, f"{path}?verbose=1", admin, json={})
        assert (answer.status, answer.json["code"]) == (400, "invalid_fields"), path
        assert answer.message == "The parameter verbose is unknown here."


@pytest.mark.parametrize("number", ["\u0662", "-1", "1e3", "0x1", "9" * 19])
async def test_what_is_no_id_names_no_user(
    identity: IdentityClient, admin: str, number: str
) -> None:
    answer = await identity.call("GET", f"/api/users/{number}", admin)
    assert answer.status == 404


async def test_p11_a_password_change_ends_the_other_sessions(
    identity: IdentityClient,
) -> None:
    mine = await identity.signed_in("alice")
    other = (await identity.sign_in("alice")).json

    answer = await identity.call(
        "POST",
        "/api/users/me/password",
        mine["accessToken"],
        json={"currentPassword": PASSWORD, "newPassword": OTHER_PASSWORD},
    )

    assert answer.status == 200
    assert (await identity.sign_in("alice", PASSWORD)).status == 401
    assert (await identity.sign_in("alice", OTHER_PASSWORD)).status == 200
    assert await identity.is_accepted(mine["accessToken"])
    assert (await identity.refresh(mine["refreshToken"])).status == 200
    assert not await identity.is_accepted(other["accessToken"])
    assert (await identity.refresh(other["refreshToken"])).status == 403


async def test_whoever_has_an_address_that_is_refused_today_changes_their_password(
    identity: IdentityClient, database_url: str
) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]
    stays = "=?alice@example.test"
    async with connected(database_url) as engine, engine.begin() as connection:
        await connection.execute(update(users).values(email=stays, email_key=stays))

    body = {"currentPassword": PASSWORD, "newPassword": OTHER_PASSWORD}
    answer = await identity.call("POST", "/api/users/me/password", token, json=body)

    assert answer.status == 200, answer.text
    assert (await identity.sign_in("alice", OTHER_PASSWORD)).json["email"] == stays


@pytest.mark.parametrize(
    ("present", "new", "field"),
    [
        pytest.param("wrong", OTHER_PASSWORD, "currentPassword", id="P11 wrong"),
        pytest.param("", OTHER_PASSWORD, "currentPassword", id="P11 empty"),
        pytest.param(None, OTHER_PASSWORD, "currentPassword", id="P11 null"),
        pytest.param(PASSWORD, PASSWORD, "newPassword", id="P11 the same"),
        pytest.param(PASSWORD, "short", "newPassword", id="P1 short"),
        pytest.param(PASSWORD, "alice@example.test", "newPassword", id="P5 personal"),
    ],
)
async def test_p11_a_password_is_not_changed(
    identity: IdentityClient, present: str | None, new: str, field: str
) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]

    answer = await identity.call(
        "POST",
        "/api/users/me/password",
        token,
        json={"currentPassword": present, "newPassword": new},
    )

    assert answer.status == 400
    assert [each["field"] for each in answer.json["errors"]] == [field]
    assert (await identity.sign_in("alice")).status == 200


QUADRATIC: Final = "\u0301\u0316" * 24_000
"""To sort combining marks takes six seconds at this length."""


@pytest.mark.parametrize(
    ("path", "members"),
    [
        ("signup", {"username": "bob", "email": "b@x.test", "password": QUADRATIC}),
        ("signup", {"username": QUADRATIC, "email": "b@x.test", "password": PASSWORD}),
        ("signup", {"username": "bob", "email": QUADRATIC, "password": PASSWORD}),
        ("signin", {"username": "alice", "password": QUADRATIC}),
        ("signin", {"username": QUADRATIC, "password": PASSWORD}),
        ("password-reset", {"email": QUADRATIC}),
        ("fresh", {"password": QUADRATIC}),
        ("password", {"currentPassword": PASSWORD, "newPassword": QUADRATIC}),
        ("password", {"currentPassword": QUADRATIC, "newPassword": PASSWORD}),
    ],
)
async def test_p9_no_text_holds_up_others(
    identity: IdentityClient, path: str, members: dict[str, str]
) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]
    of_users = path in {"fresh", "password"}
    folder = "/api/users/me" if of_users else "/api/auth"
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    body = json.dumps(members, ensure_ascii=False).encode()

    begun_at = time.thread_time()
    answer = await identity.send("POST", f"{folder}/{path}", data=body, headers=headers)

    assert answer.status in {400, 401, 404}
    assert time.thread_time() - begun_at < 1


async def test_an_administrator_is_created_once_by_all_who_try(
    database_url: str,
) -> None:
    settings = identity_settings(database_url)
    async with contextlib.AsyncExitStack() as closing:
        tries = [
            (await closing.enter_async_context(Services(settings))).sign_ups
            for _ in range(4)
        ]
        outcomes = await asyncio.gather(
            *(
                each.create_admin("boss", "b@x.test", PASSWORD, temporary=False)
                for each in tries
            )
        )

    created, unchanged = AdminOutcome.CREATED, AdminOutcome.UNCHANGED
    assert sorted(outcomes) == sorted([created, *[unchanged] * 3])


async def test_p13_a_temporary_password_opens_nothing_until_it_is_changed(
    identity: IdentityClient, database_url: str
) -> None:
    await create_admin(database_url, temporary=True)
    signed_in = (await identity.sign_in("boss")).json
    token = signed_in["accessToken"]

    assert signed_in["passwordChangeRequired"] is True
    assert claims_of(token)["roles"] == []
    assert (await identity.call("GET", "/api/users", token)).status == 403

    kept = await identity.call(
        "POST",
        "/api/users/me/password",
        token,
        json={"currentPassword": PASSWORD, "newPassword": PASSWORD},
    )
    assert kept.json["errors"][0]["code"] == "password_same"

    changed = await identity.call(
        "POST",
        "/api/users/me/password",
        token,
        json={"currentPassword": PASSWORD, "newPassword": OTHER_PASSWORD},
    )
    refreshed = (await identity.refresh(signed_in["refreshToken"])).json

    assert changed.status == 200
    admin = refreshed["accessToken"]
    assert (await identity.call("GET", "/api/users", admin)).status == 200
    again = (await identity.sign_in("boss", OTHER_PASSWORD)).json
    assert "passwordChangeRequired" not in again


async def test_p13_a_fresh_deployment_knows_nobody(identity: IdentityClient) -> None:
    for username in ("admin", "root", "administrator", "user", "test"):
        for password in ("admin", "password", "root", "", username, "12345678"):
            assert (await identity.sign_in(username, password)).status == 401


ADMIN_ROUTES = [
    ("GET", "/api/users"),
    ("GET", "/api/users/1"),
    ("PATCH", "/api/users/1"),
    ("DELETE", "/api/users/1"),
    ("PUT", "/api/users/1/roles"),
    ("DELETE", "/api/users/1/sessions"),
    ("GET", "/api/roles"),
    ("POST", "/api/roles"),
    ("DELETE", "/api/roles/editor"),
    ("GET", "/api/audit"),
    ("GET", "/api/audit/chain"),
    ("GET", "/api/signing-keys"),
    ("GET", "/api/gateway"),
]


OWN_ROUTES = [
    ("GET", "/api/users/me"),
    ("PATCH", "/api/users/me"),
    ("POST", "/api/users/me/password"),
    ("GET", "/api/users/me/sessions"),
    ("DELETE", "/api/users/me/sessions"),
    ("DELETE", "/api/users/me/sessions/x"),
]


async def test_administration_is_for_administrators(identity: IdentityClient) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]

    for method, path in ADMIN_ROUTES:
        nobody = await identity.send(method, path, json={})
        user = await identity.call(method, path, token, json={})
        assert (nobody.status, nobody.message) == (401, "No token provided!")
        assert (user.status, user.message) == (403, "Require Admin Role!")


async def test_accounts_are_listed_in_pages_and_searched(
    identity: IdentityClient, admin: str
) -> None:
    for number in range(5):
        await identity.sign_up(f"user_{number}")
    await identity.sign_up("100%")

    names: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await identity.call("GET", f"/api/users?limit=2&cursor={cursor}", admin)
        assert len(page.json["users"]) <= 2
        names += [each["username"] for each in page.json["users"]]
        cursor = page.json["nextCursor"]
    found = await identity.call("GET", "/api/users?search=USER_", admin)
    literal = await identity.call("GET", "/api/users?search=%25", admin)

    assert names == ["boss", *(f"user_{number}" for number in range(5)), "100%"]
    assert len(found.json["users"]) == 5
    assert [each["username"] for each in literal.json["users"]] == ["100%"]


SEARCHES = [
    pytest.param("Müller", "Müller", id="as shown"),
    pytest.param("muller", "Müller", id="without marks"),
    pytest.param("MU\u0308LL", "Müller", id="decomposed"),
    pytest.param("søren", "Søren", id="stroke"),
    pytest.param("soren", "Søren", id="without stroke"),
    pytest.param("Иван", "Иван", id="Cyrillic"),
    pytest.param("иван", "Иван", id="Cyrillic in lower case"),
    pytest.param("José", "José", id="accent"),
    pytest.param("jose", "José", id="without accent"),
    pytest.param("\uff2d\uff35\uff2c\uff2c\uff25\uff32", "Müller", id="full width"),
    pytest.param("müller@EXAMPLE", "Søren", id="address"),
    pytest.param("muller@example.te", "Søren", id="address without marks"),
    pytest.param("maria lo", "Ana María López", id="two words"),
    pytest.param("lopez", "Ana María López", id="last word"),
    pytest.param(" lopez ", "Ana María López", id="outer spaces"),
    pytest.param("100%", "100%_x", id="percent"),
    pytest.param("%", "100%_x", id="sign alone"),
    pytest.param("_x", "100%_x", id="underscore"),
    pytest.param("村上", "村上春樹", id="Japanese"),
    pytest.param("rare.dom", "村上春樹", id="domain"),
    pytest.param("u\u200b", None, id="nobody"),
    pytest.param("\\", None, id="backslash"),
    pytest.param("\u0301", None, id="mark alone"),
    pytest.param("zz'; --", None, id="quote"),
    pytest.param("m\u0308\u0308" * 60, None, id="long"),
]


@pytest.mark.parametrize(("search", "username"), SEARCHES)
async def test_users_are_found_as_shown_and_as_typed(
    identity: IdentityClient, admin: str, search: str, username: str | None
) -> None:
    people = {
        "Müller": "one@example.test",
        "Søren": "müller@example.test",
        "Иван": "three@example.test",
        "José": "four@example.test",
        "Ana María López": "five@example.test",
        "100%_x": "six@example.test",
        "村上春樹": "seven@rare.domain.test",
    }
    for name, email in people.items():
        assert (await identity.sign_up(name, email=email)).status == 200

    query = f"/api/users?search={quote(search)}"
    found = await identity.call("GET", query, admin)

    if not search.isprintable():
        assert found.status == 400
        return
    names = [each["username"] for each in found.json["users"]]
    assert (username in names) if username else names == []
    assert len(names) < len(people)


async def test_users_are_found_by_what_they_are_called_now(
    identity: IdentityClient, admin: str
) -> None:
    async def found(search: str) -> list[str]:
        page = await identity.call("GET", f"/api/users?search={search}", admin)
        return [each["username"] for each in page.json["users"]]

    alice = await identity.signed_in("alice")
    changes = {"username": "Renée", "email": "r@other.test"}
    await identity.call("PATCH", f"/api/users/{alice['id']}", admin, json=changes)
    assert (await found("alice"), await found("example")) == ([], ["boss"])
    assert (await found("renee"), await found("other")) == (["Renée"], ["Renée"])

    await identity.call("DELETE", f"/api/users/{alice['id']}", admin)
    assert await found("renee") == []


async def test_a_search_is_paged(identity: IdentityClient, admin: str) -> None:
    for number in range(5):
        await identity.sign_up(
            f"Zoë Zoë{number}", email=f"zoe.zoe{number}@example.test"
        )

    names: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await identity.call(
            "GET", f"/api/users?search=zoe&limit=2&cursor={cursor}", admin
        )
        names += [each["username"] for each in page.json["users"]]
        cursor = page.json["nextCursor"]

    assert names == [f"Zoë Zoë{number}" for number in range(5)]


async def test_users_of_replicas_without_search_words_are_found_soon(
    identity: IdentityClient, admin: str, database_url: str
) -> None:
    await identity.sign_up("alice")
    async with connected(database_url) as engine, engine.begin() as connection:
        await connection.execute(delete(user_search_words))
    async with Services(identity_settings(database_url)) as composed:
        done = [await composed.housekeeping.once() for _ in range(2)]

    page = await identity.call("GET", "/api/users?search=alice", admin)

    assert [each["search_words"] for each in done] == [2, 0]
    assert [each["username"] for each in page.json["users"]] == ["alice"]


async def test_no_user_is_locked_where_all_have_search_words(
    identity: IdentityClient, database_url: str
) -> None:
    user = await identity.signed_in("alice")
    statements: list[str] = []
    async with Services(identity_settings(database_url)) as composed:
        event.listen(
            composed.engine.sync_engine,
            "before_cursor_execute",
            lambda _, __, statement, *___: statements.append(statement),
        )
        filled = await composed.database.write(
            lambda unit: unit.search_words.fill(0, 10)
        )

    assert filled == (user["id"], 0)
    assert len([each for each in statements if "FROM users" in each]) == 1


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "cursor=-1",
        "cursor=é",
        "limit=1e3",
        "search=%00",
        f"search={'a' * 257}",
        "limit=1&limit=2",
        "seach=user",
    ],
)
async def test_a_bad_query_is_refused(
    identity: IdentityClient, admin: str, query: str
) -> None:
    assert (await identity.call("GET", f"/api/users?{query}", admin)).status == 400


@pytest.mark.parametrize("user_id", ["0", "999999", "9" * 30])
async def test_an_account_that_is_not_there(
    identity: IdentityClient, admin: str, user_id: str
) -> None:
    answer = await identity.call("GET", f"/api/users/{user_id}", admin)

    assert (answer.status, answer.json["code"]) == (404, "account_not_found")


async def test_a_disabled_account_signs_in_again_only_when_enabled(
    identity: IdentityClient, admin: str
) -> None:
    alice = await identity.signed_in("alice")
    path = f"/api/users/{alice['id']}"

    disabled = await identity.call("PATCH", path, admin, json={"disabled": True})
    refused = await identity.sign_in("alice")
    unknown = await identity.sign_in("nobody")
    enabled = await identity.call("PATCH", path, admin, json={"disabled": False})

    assert disabled.json["disabled"] is True
    assert (refused.status, refused.message) == (unknown.status, unknown.message)
    assert enabled.json["disabled"] is False
    assert (await identity.sign_in("alice")).status == 200


async def test_account_is_renamed_and_disabled_at_once(
    identity: IdentityClient, admin: str
) -> None:
    alice = await identity.signed_in("alice")

    changed = await identity.call(
        "PATCH",
        f"/api/users/{alice['id']}",
        admin,
        json={"username": "alicia", "disabled": True},
    )

    assert (changed.json["username"], changed.json["disabled"]) == ("alicia", True)
    log = await identity.events(admin, limit=2)
    assert [event["action"] for event in log] == [
        "account.disabled",
        "account.changed",
    ]


async def test_t14_the_id_of_a_deleted_account_is_never_given_again(
    identity: IdentityClient, admin: str
) -> None:
    alice = await identity.signed_in("alice")
    await identity.call("DELETE", f"/api/users/{alice['id']}", admin)

    again = await identity.signed_in("alice")

    assert again["id"] > alice["id"]
    assert not await identity.is_accepted(alice["accessToken"])


async def test_roles_are_given(identity: IdentityClient, admin: str) -> None:
    alice = await identity.signed_in("alice")
    path = f"/api/users/{alice['id']}/roles"

    given = await identity.call("PUT", path, admin, json={"roles": ["ROLE_ADMIN"]})
    unknown = await identity.call("PUT", path, admin, json={"roles": ["root"]})

    assert given.json["roles"] == ["ROLE_ADMIN"]
    assert (unknown.status, unknown.message) == (
        400,
        "Failed! Role does not exist = root",
    )


LAST_ADMIN = {
    "demoted": ("PUT", "/roles", {"roles": ["user"]}),
    "disabled": ("PATCH", "", {"disabled": True}),
    "deleted": ("DELETE", "", None),
}


@pytest.mark.parametrize("how", LAST_ADMIN)
async def test_the_last_administrator_stays(
    identity: IdentityClient, admin: str, how: str
) -> None:
    me = (await identity.call("GET", "/api/users/me", admin)).json
    method, suffix, body = LAST_ADMIN[how]

    answer = await identity.call(
        method, f"/api/users/{me['id']}{suffix}", admin, json=body
    )

    assert (answer.status, answer.json["code"]) == (409, "last_admin")
    assert (await identity.call("GET", "/api/users", admin)).status == 200


async def test_the_last_administrator_gets_another_role(
    identity: IdentityClient, admin: str
) -> None:
    me = (await identity.call("GET", "/api/users/me", admin)).json
    path, body = f"/api/users/{me['id']}/roles", {"roles": ["admin", "moderator"]}

    answer = await identity.call("PUT", path, admin, json=body)

    assert (answer.status, answer.json["roles"]) == (
        200,
        ["ROLE_MODERATOR", "ROLE_ADMIN"],
    )


@pytest.mark.parametrize(
    ("step", "refused"),
    [
        pytest.param(-1, {401, 403}, id="each other"),
        pytest.param(1, {409}, id="themselves"),
    ],
)
@pytest.mark.parametrize("how", LAST_ADMIN)
async def test_of_two_administrators_at_once_one_stays(
    identity: IdentityClient,
    database_url: str,
    how: str,
    step: int,
    refused: set[int],
) -> None:
    names = ("boss", "chief")
    for name in names:
        await create_admin(database_url, name)
    signed_in = [(await identity.sign_in(name)).json for name in names]
    method, suffix, body = LAST_ADMIN[how]

    answers = await asyncio.gather(
        *(
            identity.call(
                method,
                f"/api/users/{other['id']}{suffix}",
                one["accessToken"],
                json=body,
            )
            for one, other in zip(signed_in, signed_in[::step], strict=True)
        )
    )

    statuses = sorted(answer.status for answer in answers)
    assert statuses[0] == 200
    assert statuses[1] in refused
