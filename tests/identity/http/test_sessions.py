import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import jwt
import pytest
from sqlalchemy import select
from tests.support.database import connected
from tests.support.identity import (
    ISSUER,
    PASSWORD,
    Answer,
    IdentityClient,
    MovableClock,
    identity_settings,
    running_identity,
)
from tests.support.tokens import claims_of

from identity_service.storage import tables

NOT_IN_DATABASE: Final = "Refresh token is not in database!"
EXPIRED: Final = "Refresh token was expired. Please make a new signin request"


def refused(answer: Answer, message: str = NOT_IN_DATABASE) -> bool:
    return (answer.status, answer.message) == (403, message)


async def test_sign_in_answers_what_the_tutorials_clients_read(
    identity: IdentityClient,
) -> None:
    await identity.sign_up("alice")

    answer = await identity.sign_in("alice")

    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert set(answer.json) == {
        "id",
        "username",
        "email",
        "roles",
        "accessToken",
        "refreshToken",
        "tokenType",
        "expiresIn",
    }
    assert answer.json["username"] == "alice"
    assert answer.json["email"] == "alice@example.test"
    assert (answer.json["tokenType"], answer.json["expiresIn"]) == ("Bearer", 900)


async def test_t14_the_access_token_names_nobody(identity: IdentityClient) -> None:
    signed_in = await identity.signed_in("alice")
    token = signed_in["accessToken"]
    claims = claims_of(token)
    header = jwt.get_unverified_header(token)

    assert (header["alg"], header["typ"]) == ("RS256", "at+jwt")
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", claims["sub"])
    assert (claims["iss"], claims["aud"]) == (ISSUER, "content")
    assert claims["client_id"] == "first-party"
    assert claims["roles"] == ["user"]
    assert claims["exp"] - claims["iat"] == 900
    assert claims["status"]["status_list"]["uri"].startswith(
        f"{ISSUER}/api/auth/statuslists/"
    )
    assert set(claims) == {
        *("iss", "aud", "sub", "client_id", "iat", "exp"),
        *("jti", "sid", "roles", "status", "auth_time", "amr", "acr"),
    }


async def test_refusals_of_sign_in_are_the_same_bytes(identity: IdentityClient) -> None:
    await identity.sign_up("alice")
    headers = {"X-Request-Id": "the-same"}

    answers = [
        await identity.sign_in(username, password, headers=headers)
        for username, password in (
            ("alice", "wrong password"),
            ("nobody", PASSWORD),
            ("", ""),
            ("a" * 1000, "b" * 1000),
            ("\x00", "\x00"),
        )
    ]

    assert {answer.status for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    assert answers[0].message == "Invalid username or password!"
    assert answers[0].json["accessToken"] is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"password": "x"}, "username"),
        ({"username": "alice"}, "password"),
        ({"username": ["alice", "mod"], "password": "x"}, "username"),
        ({"username": "alice", "password": 0}, "password"),
    ],
)
async def test_sign_in_needs_two_texts(
    identity: IdentityClient, body: dict[str, object], field: str
) -> None:
    answer = await identity.send("POST", "/api/auth/signin", json=body)

    assert answer.status == 400
    assert [each["field"] for each in answer.json["errors"]] == [field]


async def test_r2_refreshing_spends_the_token(
    identity: IdentityClient, clock: MovableClock
) -> None:
    first = await identity.signed_in("alice")

    second = await identity.refresh(first["refreshToken"])
    clock.advance(timedelta(seconds=11))

    assert second.status == 200
    assert set(second.json) == {"accessToken", "refreshToken", "tokenType", "expiresIn"}
    assert second.json["refreshToken"] != first["refreshToken"]
    assert await identity.is_accepted(second.json["accessToken"])
    assert refused(await identity.refresh(first["refreshToken"]))


async def test_r3_reuse_ends_the_session_and_revokes_its_access_tokens(
    identity: IdentityClient, database_url: str
) -> None:
    first = await identity.signed_in("alice")
    second = (await identity.refresh(first["refreshToken"])).json
    third = (await identity.refresh(second["refreshToken"])).json

    assert refused(await identity.refresh(first["refreshToken"]))

    assert refused(await identity.refresh(third["refreshToken"]))
    for pair in (first, second, third):
        assert not await identity.is_accepted(pair["accessToken"])
    async with connected(database_url) as engine, engine.connect() as connection:
        actions = await connection.scalars(select(tables.audit_events.c.action))
        assert "session.refresh_token_reused" in actions.all()


async def test_r8_a_lost_answer_is_forgiven_within_the_grace(
    identity: IdentityClient, clock: MovableClock
) -> None:
    first = await identity.signed_in("alice")
    lost = (await identity.refresh(first["refreshToken"])).json
    clock.advance(timedelta(seconds=9))

    again = await identity.refresh(first["refreshToken"])

    assert again.status == 200
    assert again.json["refreshToken"] == lost["refreshToken"]
    assert again.json["accessToken"] != lost["accessToken"]
    assert await identity.is_accepted(again.json["accessToken"])
    assert (await identity.refresh(again.json["refreshToken"])).status == 200


async def test_r8_the_grace_ends_when_the_successor_is_used(
    identity: IdentityClient,
) -> None:
    first = await identity.signed_in("alice")
    second = (await identity.refresh(first["refreshToken"])).json
    await identity.refresh(second["refreshToken"])

    assert refused(await identity.refresh(first["refreshToken"]))


async def test_r5_idle_life_ends_a_session_and_refreshing_prolongs_it(
    identity: IdentityClient, clock: MovableClock
) -> None:
    token = (await identity.signed_in("alice"))["refreshToken"]
    for _ in range(3):
        clock.advance(timedelta(days=13))
        answer = await identity.refresh(token)
        assert answer.status == 200
        token = answer.json["refreshToken"]

    clock.advance(timedelta(days=14))

    assert refused(await identity.refresh(token), EXPIRED)


async def test_r5_absolute_life_is_never_prolonged(
    identity: IdentityClient, clock: MovableClock
) -> None:
    token = (await identity.signed_in("alice"))["refreshToken"]
    for _ in range(8):
        clock.advance(timedelta(days=11))
        token = (await identity.refresh(token)).json["refreshToken"]

    clock.advance(timedelta(days=2))

    assert refused(await identity.refresh(token), EXPIRED)


async def test_r1_no_usable_token_is_stored(
    identity: IdentityClient, database_url: str
) -> None:
    signed_in = await identity.signed_in("alice")

    async with connected(database_url) as engine, engine.connect() as connection:
        for table in tables.metadata.sorted_tables:
            dump = str((await connection.execute(select(table))).all())
            assert signed_in["refreshToken"] not in dump
            assert signed_in["accessToken"] not in dump
            assert signed_in["accessToken"].rpartition(".")[2] not in dump


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param({}, "Refresh Token is required!", id="none"),
        pytest.param({"refreshToken": None}, "Refresh Token is required!", id="null"),
        pytest.param({"refreshToken": ""}, "Refresh Token is required!", id="empty"),
        pytest.param({"refreshToken": 0}, NOT_IN_DATABASE, id="zero"),
        pytest.param({"refreshToken": False}, NOT_IN_DATABASE, id="false"),
        pytest.param({"refreshToken": ["a"]}, NOT_IN_DATABASE, id="list"),
        pytest.param({"refreshToken": {"a": 1}}, NOT_IN_DATABASE, id="object"),
        pytest.param({"refreshToken": "x"}, NOT_IN_DATABASE, id="malformed"),
        pytest.param({"refreshToken": "A" * 72}, NOT_IN_DATABASE, id="forged"),
        pytest.param({"refreshToken": "A" * 90_000}, NOT_IN_DATABASE, id="long"),
        pytest.param({"refreshToken": "é' OR 1=1"}, NOT_IN_DATABASE, id="injection"),
    ],
)
async def test_refreshing_without_a_good_token_is_403_and_never_401(
    identity: IdentityClient, body: dict[str, object], message: str
) -> None:
    answer = await identity.send("POST", "/api/auth/refreshtoken", json=body)

    assert refused(answer, message)


async def test_refreshing_ignores_a_bad_access_token(identity: IdentityClient) -> None:
    token = (await identity.signed_in("alice"))["refreshToken"]

    answer = await identity.send(
        "POST",
        "/api/auth/refreshtoken",
        json={"refreshToken": token},
        headers={"Authorization": "Bearer expired", "x-access-token": "other"},
    )

    assert answer.status == 200


@pytest.mark.parametrize("by", ["refreshToken", "access token"])
async def test_r9_signing_out_ends_the_session_at_once(
    identity: IdentityClient, by: str
) -> None:
    pair = await identity.signed_in("alice")

    if by == "refreshToken":
        answer = await identity.sign_out(pair["refreshToken"])
    else:
        answer = await identity.call("POST", "/api/auth/signout", pair["accessToken"])

    assert (answer.status, answer.message) == (200, "You've been signed out!")
    assert refused(await identity.refresh(pair["refreshToken"]))
    assert not await identity.is_accepted(pair["accessToken"])


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"json": {}}, id="empty"),
        pytest.param({"json": {"refreshToken": "forged"}}, id="forged"),
        pytest.param({"json": [1]}, id="no object"),
        pytest.param({"data": b"\xff{"}, id="no JSON"),
        pytest.param({"data": b"a" * 200_000}, id="too large"),
        pytest.param({"headers": {"Authorization": "Bearer x"}}, id="bad access token"),
        pytest.param({"headers": {"Authorization": "Bearer x y"}}, id="bad header"),
    ],
)
async def test_signing_out_always_answers_200(
    identity: IdentityClient, options: dict[str, Any]
) -> None:
    answer = await identity.send("POST", "/api/auth/signout", **options)

    assert (answer.status, answer.message) == (200, "You've been signed out!")


async def test_r9_sessions_are_listed_and_ended_singly(
    identity: IdentityClient,
) -> None:
    await identity.sign_up("alice")
    pairs = [
        (await identity.sign_in("alice", headers={"User-Agent": device})).json
        for device in ("Firefox", "A" * 900, "Chrome")
    ]
    mine = pairs[0]["accessToken"]

    listed = (await identity.call("GET", "/api/users/me/sessions", mine)).json
    sessions = {each["device"]: each for each in listed["sessions"]}
    assert set(sessions) == {"Firefox", "A" * 255, "Chrome"}
    assert sessions["Firefox"]["current"] is True
    assert sessions["Chrome"]["current"] is False
    assert sessions["Chrome"]["address"] == "127.0.0.1"

    chrome = sessions["Chrome"]["id"]
    ended = await identity.call("DELETE", f"/api/users/me/sessions/{chrome}", mine)
    assert ended.status == 200
    assert refused(await identity.refresh(pairs[2]["refreshToken"]))
    assert not await identity.is_accepted(pairs[2]["accessToken"])
    assert await identity.is_accepted(pairs[1]["accessToken"])

    others = await identity.call("DELETE", "/api/users/me/sessions", mine)
    assert (others.status, others.json["ended"]) == (200, 1)
    assert refused(await identity.refresh(pairs[1]["refreshToken"]))
    assert not await identity.is_accepted(pairs[1]["accessToken"])
    assert await identity.is_accepted(mine)


async def test_nobody_ends_the_session_of_another(identity: IdentityClient) -> None:
    alice = await identity.signed_in("alice")
    mallory = await identity.signed_in("mallory")
    listed = await identity.call("GET", "/api/users/me/sessions", alice["accessToken"])
    session_id = listed.json["sessions"][0]["id"]

    answer = await identity.call(
        "DELETE", f"/api/users/me/sessions/{session_id}", mallory["accessToken"]
    )

    assert answer.status == 404
    assert await identity.is_accepted(alice["accessToken"])


@pytest.mark.parametrize("end", ["%20", "%20%20", "%00", "%09"])
async def test_a_session_has_one_id_and_no_spelling_of_it(
    identity: IdentityClient, end: str
) -> None:
    alice = await identity.signed_in("alice")
    listed = await identity.call("GET", "/api/users/me/sessions", alice["accessToken"])
    session_id = listed.json["sessions"][0]["id"]

    answer = await identity.call(
        "DELETE", f"/api/users/me/sessions/{session_id}{end}", alice["accessToken"]
    )

    assert (answer.status, answer.json["code"]) == (404, "session_not_found")
    assert await identity.is_accepted(alice["accessToken"])


CHANGES: Final[dict[str, Callable[[int], tuple[str, str, Any]]]] = {
    "R6 disabled": lambda user: ("PATCH", f"/api/users/{user}", {"disabled": True}),
    "R6 deleted": lambda user: ("DELETE", f"/api/users/{user}", None),
    "R6 all ended": lambda user: ("DELETE", f"/api/users/{user}/sessions", None),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_r6_what_administrators_do_ends_sessions(
    identity: IdentityClient, admin: str, change: str
) -> None:
    alice = await identity.signed_in("alice")
    method, path, body = CHANGES[change](alice["id"])

    assert (await identity.call(method, path, admin, json=body)).status == 200

    assert refused(await identity.refresh(alice["refreshToken"]))
    assert not await identity.is_accepted(alice["accessToken"])


async def test_r7_a_role_change_revokes_tokens_and_reaches_the_next_refresh(
    identity: IdentityClient, admin: str
) -> None:
    alice = await identity.signed_in("alice")

    answer = await identity.call(
        "PUT",
        f"/api/users/{alice['id']}/roles",
        admin,
        json={"roles": ["user", "moderator"]},
    )
    refreshed = await identity.refresh(alice["refreshToken"])

    assert answer.json["roles"] == ["ROLE_USER", "ROLE_MODERATOR"]
    assert not await identity.is_accepted(alice["accessToken"])
    claims = claims_of(refreshed.json["accessToken"])
    assert claims["roles"] == ["moderator", "user"]


async def test_the_tutorials_clients_keep_their_first_refresh_token(
    database_url: str, clock: MovableClock
) -> None:
    settings = identity_settings(database_url, TUTORIAL_COMPAT="true")
    async with running_identity(settings, clock=clock) as identity:
        pair = await identity.signed_in("alice")
        for _ in range(3):
            clock.advance(timedelta(days=1))
            answer = await identity.refresh(pair["refreshToken"])
            assert answer.status == 200
            assert answer.json["refreshToken"] == pair["refreshToken"]
            assert await identity.is_accepted(answer.json["accessToken"])

        await identity.sign_out(pair["refreshToken"])
        assert refused(await identity.refresh(pair["refreshToken"]))
        missing = await identity.send("GET", "/api/users/me")
        assert (missing.status, missing.message) == (403, "No token provided!")


@pytest.mark.parametrize("spent", [0, 1], ids=["long ago", "just now"])
async def test_switching_the_tutorials_profile_on_revives_no_spent_token(
    database_url: str, clock: MovableClock, spent: int
) -> None:
    async with running_identity(identity_settings(database_url), clock=clock) as before:
        pair = await before.signed_in("alice")
        tokens = [pair["refreshToken"]]
        for _ in range(2):
            clock.advance(timedelta(minutes=1))
            tokens.append((await before.refresh(tokens[-1])).json["refreshToken"])
    settings = identity_settings(database_url, TUTORIAL_COMPAT="true")
    async with running_identity(settings, clock=clock) as identity:
        current = await identity.refresh(tokens[-1])
        clock.advance(timedelta(minutes=1))
        again = await identity.refresh(tokens[spent])

        assert current.json["refreshToken"] == tokens[-1]
        assert refused(again)
        assert refused(await identity.refresh(tokens[-1]))


async def test_a_lost_response_is_forgiven_when_the_profile_is_switched_on(
    database_url: str, clock: MovableClock
) -> None:
    async with running_identity(identity_settings(database_url), clock=clock) as before:
        pair = await before.signed_in("alice")
        lost = await before.refresh(pair["refreshToken"])
    settings = identity_settings(database_url, TUTORIAL_COMPAT="true")
    async with running_identity(settings, clock=clock) as identity:
        again = await identity.refresh(pair["refreshToken"])

        assert again.json["refreshToken"] == lost.json["refreshToken"]
        assert (await identity.refresh(lost.json["refreshToken"])).status == 200
