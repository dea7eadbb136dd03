"""A page that keeps its access token in memory, and its refresh token in a cookie.

It asks for this itself (``Prefer: refresh-token=cookie``), whatever the transport.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Final

import pytest
from tests.support.identity import (
    ISSUER,
    PASSWORD,
    Answer,
    IdentityClient,
    identity_settings,
    running_identity,
)

PREFER: Final = {"Prefer": "refresh-token=cookie"}
OUR_PAGE: Final = {"Sec-Fetch-Site": "same-origin", **PREFER}
COOKIE: Final = "refresh_token"
NO_PAGE_OF_OURS: Final = [
    pytest.param({"Sec-Fetch-Site": "cross-site"}, id="C7 cross-site"),
    pytest.param({"Origin": "https://evil.test"}, id="C7 foreign origin"),
    pytest.param({}, id="C7 no word of the page"),
]


@pytest.fixture(params=["body", "cookie", "both", "tutorial"])
async def identity(
    database_url: str, request: pytest.FixtureRequest
) -> AsyncIterator[IdentityClient]:
    chosen = (
        {"TUTORIAL_COMPAT": "true"}
        if request.param == "tutorial"
        else {"IDENTITY_TOKEN_TRANSPORT": request.param}
    )
    settings = identity_settings(database_url, **chosen)
    async with running_identity(settings) as client:
        await client.sign_up("alice", roles=["user"])
        yield client


def only_the_access_token_is_readable(answer: Answer) -> bool:
    return (
        answer.status == 200
        and "accessToken" in answer.json
        and "refreshToken" not in answer.json
        and set(answer.cookies) == {COOKIE}
        and answer.cookies[COOKIE]["httponly"] is True
        and answer.cookies[COOKIE]["samesite"] == "Strict"
        and answer.cookies[COOKIE]["path"] == "/api/auth"
        and answer.headers["Preference-Applied"] == "refresh-token=cookie"
    )


async def post(
    identity: IdentityClient, path: str, refresh_token: str, headers: Mapping[str, str]
) -> Answer:
    headers = {"Cookie": f"{COOKIE}={refresh_token}", **headers}
    return await identity.send("POST", f"/api/auth/{path}", json={}, headers=headers)


async def test_the_refresh_token_is_in_the_cookie_alone(
    identity: IdentityClient,
) -> None:
    signed_in = await identity.sign_in("alice", headers=OUR_PAGE)
    assert only_the_access_token_is_readable(signed_in)

    token = signed_in.cookies[COOKIE].value
    refreshed = await post(identity, "refreshtoken", token, OUR_PAGE)
    assert only_the_access_token_is_readable(refreshed)
    assert await identity.is_accepted(refreshed.json["accessToken"])


async def test_signing_out_ends_the_session_of_the_cookie(
    identity: IdentityClient,
) -> None:
    signed_in = await identity.sign_in("alice", headers=OUR_PAGE)
    token = signed_in.cookies[COOKIE].value

    signed_out = await post(identity, "signout", token, OUR_PAGE)

    assert signed_out.status == 200
    assert signed_out.cookies[COOKIE]["max-age"] == "0"
    assert not await identity.is_accepted(signed_in.json["accessToken"])
    assert (await post(identity, "refreshtoken", token, OUR_PAGE)).status == 403


@pytest.mark.parametrize("headers", NO_PAGE_OF_OURS)
async def test_c7_only_pages_of_ours_get_and_use_the_cookie(
    identity: IdentityClient, headers: Mapping[str, str]
) -> None:
    signed_in = await identity.sign_in("alice", headers=OUR_PAGE)
    token = signed_in.cookies[COOKIE].value

    planted = await identity.sign_in("alice", headers={**PREFER, **headers})
    refreshed = await post(identity, "refreshtoken", token, {**PREFER, **headers})
    signed_out = await post(identity, "signout", token, {**PREFER, **headers})

    for refused in (planted, refreshed):
        assert (refused.status, refused.json["code"]) == (403, "cross_site_request")
        assert not refused.cookies
    assert (signed_out.status, dict(signed_out.cookies)) == (200, {})
    assert (await post(identity, "refreshtoken", token, OUR_PAGE)).status == 200


async def test_c7_pages_of_the_issuers_own_origin_are_ours(
    identity: IdentityClient,
) -> None:
    signed_in = await identity.sign_in("alice", headers={"Origin": ISSUER, **PREFER})

    assert only_the_access_token_is_readable(signed_in)


@pytest.mark.parametrize(
    "prefer",
    [
        "",
        "refresh-token",
        "refresh-token=body",
        "wait=1",
        "x=refresh-token",
        'x="a, refresh-token=cookie, b"',
    ],
)
async def test_without_the_preference_the_setting_holds(
    database_url: str, prefer: str
) -> None:
    async with running_identity(identity_settings(database_url)) as identity:
        await identity.signed_in("alice")
        headers = {"Sec-Fetch-Site": "same-origin", "Prefer": prefer}
        signed_in = await identity.sign_in("alice", headers=headers)
        refreshed = await post(
            identity, "refreshtoken", signed_in.json["refreshToken"], headers
        )

    assert not signed_in.cookies
    assert "Preference-Applied" not in signed_in.headers
    assert (refreshed.status, refreshed.message) == (403, "Refresh Token is required!")


async def test_a_session_moves_from_the_body_into_the_cookie(
    database_url: str,
) -> None:
    async with running_identity(identity_settings(database_url)) as identity:
        pair = await identity.signed_in("alice")
        moved = await identity.send(
            "POST",
            "/api/auth/refreshtoken",
            json={"refreshToken": pair["refreshToken"]},
            headers={**OUR_PAGE, "Prefer": 'wait=1, Refresh-Token="cookie"; x=y'},
        )
        wrong = await identity.sign_in("alice", f"{PASSWORD}!", headers=OUR_PAGE)

    assert only_the_access_token_is_readable(moved)
    assert (wrong.status, dict(wrong.cookies)) == (401, {})
