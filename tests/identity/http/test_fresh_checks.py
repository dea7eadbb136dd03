"""Dangerous actions ask for a proof of who one is that is minutes old."""

from datetime import timedelta
from typing import Any

import pytest
from tests.support.identity import (
    OTHER_PASSWORD,
    PASSWORD,
    IdentityClient,
    MovableClock,
)
from tests.support.tokens import claims_of

FRESH = "/api/users/me/fresh"
LONG = timedelta(minutes=10, seconds=1)


async def renewed(identity: IdentityClient, pair: Any) -> Any:  # noqa: ANN401
    answer = await identity.refresh(pair["refreshToken"])
    assert answer.status == 200, answer.text
    return answer.json


async def test_tokens_say_how_and_when_their_user_signed_in(
    identity: IdentityClient, clock: MovableClock
) -> None:
    pair = await identity.signed_in("alice")
    claims = claims_of(pair["accessToken"])
    assert (claims["amr"], claims["acr"]) == (["pwd"], "aal1")
    assert abs(claims["auth_time"] - clock().timestamp()) < 10

    clock.advance(timedelta(hours=1))
    refreshed = claims_of((await renewed(identity, pair))["accessToken"])
    assert refreshed["iat"] > claims["iat"]
    assert refreshed["auth_time"] == claims["auth_time"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        pytest.param("PATCH", "/api/users/me", {"email": "b@example.test"}, id="email"),
        pytest.param(
            "PATCH", "/api/users/{id}", {"email": "b@example.test"}, id="their-email"
        ),
        pytest.param("PUT", "/api/users/{id}/roles", {"roles": ["user"]}, id="roles"),
        pytest.param("DELETE", "/api/users/{id}", None, id="deletion"),
    ],
)
async def test_dangerous_action_needs_a_fresh_check(  # noqa: PLR0917 - a table's columns
    identity: IdentityClient,
    clock: MovableClock,
    admin: str,
    method: str,
    path: str,
    body: dict[str, object] | None,
) -> None:
    assert (await identity.sign_up("bob")).status == 200
    bob = (await identity.sign_in("bob")).json
    path = path.format(id=bob["id"])

    clock.advance(LONG)
    refused = await identity.call(method, path, admin, json=body)
    assert (refused.status, refused.json["code"]) == (403, "fresh_check_required")

    proof = {"password": PASSWORD}
    checked = await identity.call("POST", FRESH, admin, json=proof)
    assert checked.status == 200, checked.text
    assert (await identity.call(method, path, admin, json=body)).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/users"),
        ("POST", "/api/users/1/password-reset"),
        ("DELETE", "/api/users/me"),
        ("POST", "/api/users/me/email"),
        ("POST", "/api/users/me/totp"),
        ("POST", "/api/users/me/totp/confirm"),
        ("DELETE", "/api/users/me/totp"),
        ("POST", "/api/users/me/recovery-codes"),
        ("POST", "/api/users/me/passkeys/options"),
        ("POST", "/api/users/me/passkeys"),
        ("DELETE", f"/api/users/me/passkeys/{'A' * 43}"),
    ],
)
async def test_nothing_dangerous_is_looked_at_without_a_fresh_check(
    identity: IdentityClient, clock: MovableClock, admin: str, method: str, path: str
) -> None:
    clock.advance(LONG)

    refused = await identity.call(method, path, admin, json={"a": 1})

    assert (refused.status, refused.json["code"]) == (403, "fresh_check_required")


async def test_a_proof_that_is_yet_to_come_is_not_fresh(
    identity: IdentityClient, clock: MovableClock
) -> None:
    clock.advance(timedelta(days=1))
    pair = await identity.signed_in("alice")
    clock.advance(-timedelta(days=1))
    token = (await renewed(identity, pair))["accessToken"]

    refused = await identity.call("DELETE", "/api/users/me", token)

    assert (refused.status, refused.json["code"]) == (403, "fresh_check_required")
    checked = await identity.call("POST", FRESH, token, json={"password": PASSWORD})
    assert checked.status == 200, checked.text
    assert (await identity.call("DELETE", "/api/users/me", token)).status == 200


async def test_name_is_changed_without_a_fresh_check(
    identity: IdentityClient, clock: MovableClock
) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]
    clock.advance(LONG)

    body = {"username": "alicia"}
    answer = await identity.call("PATCH", "/api/users/me", token, json=body)

    assert answer.status == 200


async def test_password_change_proves_itself_by_the_present_password(
    identity: IdentityClient, clock: MovableClock
) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]
    clock.advance(LONG)

    body = {"currentPassword": PASSWORD, "newPassword": OTHER_PASSWORD}
    answer = await identity.call("POST", "/api/users/me/password", token, json=body)

    assert answer.status == 200


async def test_fresh_check_shows_in_the_next_access_token(
    identity: IdentityClient, clock: MovableClock
) -> None:
    pair = await identity.signed_in("alice")
    signed_in_at = claims_of(pair["accessToken"])["auth_time"]
    clock.advance(LONG)
    token = pair["accessToken"]
    wrong = await identity.call("POST", FRESH, token, json={"password": "not the one"})
    assert (wrong.status, wrong.json["code"]) == (400, "wrong_proof")

    right = await identity.call("POST", FRESH, token, json={"password": PASSWORD})

    assert right.status == 200
    after = claims_of((await renewed(identity, pair))["accessToken"])
    assert after["auth_time"] >= signed_in_at + LONG.total_seconds() - 1


async def test_proof_of_one_session_counts_for_no_other(
    identity: IdentityClient, clock: MovableClock
) -> None:
    one = await identity.signed_in("alice")
    other = (await identity.sign_in("alice")).json
    clock.advance(LONG)
    await identity.call("POST", FRESH, one["accessToken"], json={"password": PASSWORD})

    refused = await identity.call(
        "PATCH", "/api/users/me", other["accessToken"], json={"email": "b@example.test"}
    )

    assert refused.json["code"] == "fresh_check_required"


@pytest.mark.parametrize(
    "proofs",
    [
        {},
        {"password": PASSWORD, "code": "123456"},
        {"password": PASSWORD, "credential": {}},
        {"code": "123456", "credential": {}},
    ],
    ids=" and ".join,
)
async def test_one_proof_is_given_at_a_time(
    identity: IdentityClient, proofs: dict[str, object]
) -> None:
    token = (await identity.signed_in("alice"))["accessToken"]
    answer = await identity.call("POST", FRESH, token, json=proofs)
    assert (answer.status, answer.json["code"]) == (400, "invalid_fields")
    assert "password" in answer.message
