import base64
from datetime import timedelta
from typing import Any
from urllib.parse import quote_plus

import pytest
from tests.identity.oauth.conftest import SECRET
from tests.support.identity import Answer, IdentityClient, MovableClock
from tests.support.tokens import claims_of

INTROSPECT = "/oauth2/introspect"
INACTIVE = {"active": False}


def basic(client_id: str, secret: str) -> dict[str, str]:
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}


def subject_of(access_token: str) -> Any:  # noqa: ANN401 - parsed JSON
    return claims_of(access_token)["sub"]


async def introspect(identity: IdentityClient, token: str, **form: str) -> Any:  # noqa: ANN401
    answer = await identity.send(
        "POST",
        INTROSPECT,
        data={"token": token, **form},
        headers=basic("resource-server", SECRET),
    )
    assert answer.status == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.json


async def test_k6_live_access_token_tells_its_claims(identity: IdentityClient) -> None:
    pair = await identity.signed_in("alice")

    told = await introspect(identity, pair["accessToken"])

    assert told["active"] is True
    assert told["sub"] == subject_of(pair["accessToken"])
    assert told["client_id"] == "first-party"
    assert told["aud"] == "content"
    assert told["iss"] == "http://identity.test"
    assert told["exp"] - told["iat"] == pair["expiresIn"]
    assert told["roles"] == ["user"]
    assert told["token_type"] == "Bearer"


async def test_k6_live_refresh_token_is_active_until_it_is_spent(
    identity: IdentityClient,
) -> None:
    pair = await identity.signed_in("alice")
    told = await introspect(identity, pair["refreshToken"])
    assert told["active"] is True
    assert told["sub"] == subject_of(pair["accessToken"])

    await identity.refresh(pair["refreshToken"])
    assert await introspect(identity, pair["refreshToken"]) == INACTIVE


@pytest.mark.parametrize(
    "token",
    ["x", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "A" * 72, "ü\ud7ff", "y" * 9000],
    ids=["K6 word", "K6 dots", "K6 unsigned", "K6 forged", "K6 odd", "K6 long"],
)
async def test_k6_garbage_is_inactive_and_nothing_else(
    identity: IdentityClient, token: str
) -> None:
    for hint in ("access_token", "refresh_token", "nonsense"):
        assert await introspect(identity, token, token_type_hint=hint) == INACTIVE


async def test_k6_expired_and_revoked_tokens_are_inactive(
    identity: IdentityClient, clock: MovableClock
) -> None:
    ended = await identity.signed_in("alice")
    await identity.sign_out(ended["refreshToken"])
    assert await introspect(identity, ended["accessToken"]) == INACTIVE
    assert await introspect(identity, ended["refreshToken"]) == INACTIVE

    old = await identity.signed_in("bob")
    clock.advance(timedelta(seconds=old["expiresIn"]))
    assert await introspect(identity, old["accessToken"]) == INACTIVE
    clock.advance(timedelta(days=15))
    assert await introspect(identity, old["refreshToken"]) == INACTIVE


async def test_k6_client_secret_post_is_client_authentication_too(
    identity: IdentityClient,
) -> None:
    pair = await identity.signed_in("alice")
    form = {
        "token": pair["accessToken"],
        "client_id": "resource-server",
        "client_secret": SECRET,
    }
    answer = await identity.send("POST", INTROSPECT, data=form)
    assert (answer.status, answer.json["active"]) == (200, True)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="K6 none"),
        pytest.param(basic("resource-server", "wrong"), id="K6 wrong secret"),
        pytest.param(basic("nobody", SECRET), id="K6 unknown client"),
        pytest.param(basic("nobody", ""), id="K6 unknown client, empty secret"),
        pytest.param(basic("other", SECRET), id="K6 secret of another client"),
        pytest.param({"Authorization": "Basic ?"}, id="K6 not base64"),
        pytest.param({"Authorization": "Basic /w=="}, id="K6 not UTF-8"),
        pytest.param({"Authorization": "Bearer abc"}, id="K6 another scheme"),
        pytest.param({"Authorization": "Basic"}, id="K6 nothing"),
    ],
)
async def test_k6_without_client_authentication_nothing_is_revealed(
    identity: IdentityClient, headers: dict[str, str]
) -> None:
    pair = await identity.signed_in("alice")
    answer = await identity.send(
        "POST", INTROSPECT, data={"token": pair["accessToken"]}, headers=headers
    )

    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert answer.json["error"] == answer.json["code"] == "invalid_client"


async def test_k6_only_a_posted_form_is_taken(identity: IdentityClient) -> None:
    authorized = basic("resource-server", SECRET)
    assert (await identity.send("GET", INTROSPECT, headers=authorized)).status == 405
    as_json = await identity.send(
        "POST", INTROSPECT, json={"token": "x"}, headers=authorized
    )
    assert as_json.status == 415


async def send_form(identity: IdentityClient, body: str) -> Answer:
    return await identity.send(
        "POST",
        INTROSPECT,
        data=body,
        headers={
            **basic("resource-server", SECRET),
            "Content-Type": "application/x-www-form-urlencoded",
        },
    )


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("", id="K6 empty"),
        pytest.param("token=", id="K6 empty token"),
        pytest.param("token=a&token=b", id="K6 two tokens"),
        pytest.param("token=a&token_type_hint=a&token_type_hint=b", id="K6 two hints"),
        pytest.param("token=%ff", id="K6 not UTF-8"),
        pytest.param("token=a&client_secret=b", id="K6 two authentications"),
        pytest.param("token=a&client_id=other", id="two clients"),
        pytest.param("token=a&client_id=Resource-Server", id="another case"),
    ],
)
async def test_k6_ambiguous_requests_are_refused(
    identity: IdentityClient, body: str
) -> None:
    answer = await send_form(identity, body)
    assert answer.status == 400


async def test_two_headers_authenticate_nobody(identity: IdentityClient) -> None:
    right, wrong = basic("resource-server", SECRET), basic("resource-server", "wrong")
    for headers in ((right, wrong), (wrong, right), (right, right)):
        answer = await identity.send(
            "POST",
            INTROSPECT,
            data={"token": "a"},
            headers=[pair for each in headers for pair in each.items()],
        )
        assert (answer.status, answer.json["error"]) == (400, "invalid_request")


async def test_k6_bodies_are_bounded(identity: IdentityClient) -> None:
    assert (await send_form(identity, "token=" + "a" * 200_000)).status == 413


async def test_a_body_may_name_the_client_of_the_header_again(
    identity: IdentityClient,
) -> None:
    answer = await send_form(identity, "token=a&client_id=resource-server")
    assert (answer.status, answer.json) == (200, INACTIVE)
