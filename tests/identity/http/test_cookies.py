import re
from collections.abc import Mapping
from typing import Final

import pytest
from sqlalchemy import insert
from tests.support.database import connected
from tests.support.identity import (
    OTHER_PASSWORD,
    PASSWORD,
    Answer,
    IdentityClient,
    identity_settings,
    running_identity,
)

from identity_service.settings import Settings
from identity_service.storage.tables import roles, user_roles

ORIGIN: Final = "http://localhost:8081"
FROM_OUR_PAGE: Final = {"Sec-Fetch-Site": "same-site"}

ACCESS: Final = "__Secure-access_token"
REFRESH: Final = "__Secure-refresh_token"


@pytest.fixture
def settings(database_url: str) -> Settings:
    return identity_settings(
        database_url,
        IDENTITY_TOKEN_TRANSPORT="cookie",
        IDENTITY_COOKIE_SECURE="true",
        IDENTITY_ALLOWED_ORIGINS=ORIGIN,
    )


async def sign_in(identity: IdentityClient) -> Answer:
    await identity.sign_up("alice")
    return await identity.sign_in("alice", headers=FROM_OUR_PAGE)


def cookie_header(answer: Answer) -> str:
    return "; ".join(f"{name}={each.value}" for name, each in answer.cookies.items())


async def post(
    identity: IdentityClient, path: str, cookies: str, headers: Mapping[str, str]
) -> Answer:
    return await identity.send(
        "POST", path, json={}, headers={"Cookie": cookies, **headers}
    )


async def test_c6_cookies_have_every_attribute_that_guards_them(
    identity: IdentityClient,
) -> None:
    answer = await sign_in(identity)

    assert set(answer.cookies) == {ACCESS, REFRESH}
    for name, path in ((ACCESS, "/api"), (REFRESH, "/api/auth")):
        cookie = answer.cookies[name]
        assert cookie["path"] == path
        assert cookie["max-age"] == str(90 * 86_400), "the session's lifetime"
        assert cookie["httponly"] is True
        assert cookie["secure"] is True
        assert cookie["samesite"] == "Strict"
        assert cookie["domain"] == ""
        assert len(cookie.OutputString()) < 4096


async def test_c6_cookie_transport_puts_no_token_in_the_body(
    identity: IdentityClient,
) -> None:
    signed_in = await sign_in(identity)
    refreshed = await post(
        identity,
        "/api/auth/refreshtoken",
        cookie_header(signed_in),
        FROM_OUR_PAGE,
    )

    assert refreshed.status == 200
    for answer in (signed_in, refreshed):
        assert "accessToken" not in answer.json
        assert "refreshToken" not in answer.json
        assert set(answer.cookies) == {ACCESS, REFRESH}


async def test_c6_signing_out_clears_both_cookies_and_ends_the_session(
    identity: IdentityClient,
) -> None:
    signed_in = await sign_in(identity)
    cookies = cookie_header(signed_in)

    answer = await post(identity, "/api/auth/signout", cookies, FROM_OUR_PAGE)

    assert answer.status == 200
    for name, path in ((ACCESS, "/api"), (REFRESH, "/api/auth")):
        cookie = answer.cookies[name]
        assert (cookie.value, cookie["max-age"], cookie["path"]) == ("", "0", path)
        assert cookie["secure"] is True
        assert cookie["samesite"] == "Strict"
    refreshed = await post(identity, "/api/auth/refreshtoken", cookies, FROM_OUR_PAGE)
    assert refreshed.status == 403


PAGES: Final = [
    pytest.param({"Sec-Fetch-Site": "same-origin"}, True, id="C7 same-origin"),
    pytest.param({"Sec-Fetch-Site": "same-site"}, True, id="C7 same-site"),
    pytest.param({"Origin": ORIGIN}, True, id="C7 allowed origin"),
    pytest.param(
        {"Sec-Fetch-Site": "cross-site", "Origin": ORIGIN},
        True,
        id="C7 allowed origin on another site",
    ),
    pytest.param({}, False, id="C7 no word of the page"),
    pytest.param({"Sec-Fetch-Site": "cross-site"}, False, id="C7 cross-site"),
    pytest.param({"Sec-Fetch-Site": "none"}, False, id="C7 none"),
    pytest.param({"Sec-Fetch-Site": "SAME-ORIGIN"}, False, id="C7 other case"),
    pytest.param({"Origin": "null"}, False, id="C7 null origin"),
    pytest.param({"Origin": f"{ORIGIN}.evil.test"}, False, id="C7 longer origin"),
    pytest.param({"Origin": "http://localhost"}, False, id="C7 shorter origin"),
    pytest.param({"Referer": f"{ORIGIN}/"}, False, id="C7 referer alone"),
]


@pytest.mark.parametrize(("headers", "passes"), PAGES)
async def test_c7_a_cookie_alone_refreshes_only_for_our_own_pages(
    identity: IdentityClient, headers: Mapping[str, str], *, passes: bool
) -> None:
    cookies = cookie_header(await sign_in(identity))

    answer = await post(identity, "/api/auth/refreshtoken", cookies, headers)

    assert answer.status == (200 if passes else 403)
    if not passes:
        assert answer.json["code"] == "cross_site_request"


@pytest.mark.parametrize(("headers", "passes"), PAGES)
async def test_c7_a_cookie_alone_changes_something_only_for_our_own_pages(
    identity: IdentityClient, headers: Mapping[str, str], *, passes: bool
) -> None:
    cookies = cookie_header(await sign_in(identity))

    answer = await identity.send(
        "PATCH",
        "/api/users/me",
        json={"username": "alicia"},
        headers={"Cookie": cookies, **headers},
    )
    signed_out = await post(identity, "/api/auth/signout", cookies, headers)
    refreshed = await post(identity, "/api/auth/refreshtoken", cookies, FROM_OUR_PAGE)

    assert answer.status == (200 if passes else 403)
    assert signed_out.status == 200
    assert refreshed.status == (403 if passes else 200)


async def test_c7_reading_by_cookie_needs_no_word_of_the_page(
    identity: IdentityClient,
) -> None:
    cookies = cookie_header(await sign_in(identity))

    answer = await identity.send("GET", "/api/users/me", headers={"Cookie": cookies})

    assert answer.status == 200


@pytest.mark.parametrize(
    ("dummy", "status"),
    [
        ({"Authorization": "Bearer dummy"}, 401),
        ({"x-access-token": "dummy"}, 401),
        ({"Authorization": "Bearer"}, 403),
        ({"Authorization": "Basic YTpi"}, 403),
        ({"x-access-token": ""}, 403),
    ],
)
async def test_c8_a_dummy_header_does_not_get_around_the_check(
    identity: IdentityClient, dummy: Mapping[str, str], status: int
) -> None:
    cookies = cookie_header(await sign_in(identity))

    answer = await identity.send(
        "POST",
        "/api/users/me/password",
        json={"currentPassword": PASSWORD, "newPassword": OTHER_PASSWORD},
        headers={"Cookie": cookies, **dummy},
    )

    assert answer.status == status
    assert (await identity.sign_in("alice", headers=FROM_OUR_PAGE)).status == 200


async def test_c8_a_refresh_token_in_the_body_counts_before_the_cookie(
    identity: IdentityClient,
) -> None:
    cookies = cookie_header(await sign_in(identity))

    answer = await identity.send(
        "POST",
        "/api/auth/refreshtoken",
        json={"refreshToken": "dummy"},
        headers={"Cookie": cookies, **FROM_OUR_PAGE},
    )

    assert (answer.status, answer.message) == (403, "Refresh token is not in database!")


async def test_c6_a_cookie_that_browsers_drop_is_logged(
    identity: IdentityClient, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    user_id = (await sign_in(identity)).json["id"]
    numbers = range(4, 101)
    async with connected(database_url) as engine, engine.begin() as connection:
        await connection.execute(
            insert(roles), [{"id": n, "name": f"role-{n:027}"} for n in numbers]
        )
        rows = [{"user_id": user_id, "role_id": n} for n in numbers]
        await connection.execute(insert(user_roles), rows)

    await identity.sign_in("alice", headers=FROM_OUR_PAGE)

    [record] = [each for each in caplog.records if each.msg == "cookie_too_long"]
    assert record.__dict__["cookie"] == ACCESS


@pytest.mark.parametrize("stale", ["garbage", "of an ended session"])
@pytest.mark.parametrize("named_by", ["cookies", "access token"])
async def test_sign_out_ends_what_it_names_beside_a_stale_token(
    database_url: str, stale: str, named_by: str
) -> None:
    settings = identity_settings(database_url, IDENTITY_TOKEN_TRANSPORT="both")
    async with running_identity(settings) as identity:
        ended = (await sign_in(identity)).json["refreshToken"]
        await identity.sign_out(ended)
        live = await identity.sign_in("alice", headers=FROM_OUR_PAGE)
        headers = {**FROM_OUR_PAGE, "Cookie": cookie_header(live)}
        if named_by == "access token":
            headers = {"x-access-token": live.json["accessToken"]}
        body = {"refreshToken": "garbage" if stale == "garbage" else ended}

        answer = await identity.send(
            "POST", "/api/auth/signout", json=body, headers=headers
        )
        again = await identity.refresh(live.json["refreshToken"])

    assert (answer.status, again.status) == (200, 403)


@pytest.mark.parametrize("transport", ["body", "both"])
async def test_other_transports(database_url: str, transport: str) -> None:
    settings = identity_settings(database_url, IDENTITY_TOKEN_TRANSPORT=transport)
    async with running_identity(settings) as identity:
        answer = await sign_in(identity)
        signed_out = await identity.send(
            "POST",
            "/api/auth/signout",
            json={"refreshToken": answer.json["refreshToken"]},
            headers=FROM_OUR_PAGE,
        )

    expected = {"access_token", "refresh_token"} if transport == "both" else set()
    assert answer.json["accessToken"]
    assert answer.json["refreshToken"]
    assert set(answer.cookies) == expected
    assert set(signed_out.cookies) == expected


async def test_the_tutorials_profile_uses_both_transports(database_url: str) -> None:
    settings = identity_settings(database_url, TUTORIAL_COMPAT="true")
    async with running_identity(settings) as identity:
        answer = await sign_in(identity)

    assert answer.json["refreshToken"] == answer.cookies["refresh_token"].value


TRANSPORTS: Final = [
    pytest.param({"IDENTITY_TOKEN_TRANSPORT": "cookie"}, id="cookie"),
    pytest.param({"IDENTITY_TOKEN_TRANSPORT": "both"}, id="both"),
    pytest.param({"TUTORIAL_COMPAT": "true"}, id="tutorial"),
]
FOREIGN_FORMS: Final = [
    pytest.param(
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.test"}, id="form"
    ),
    pytest.param({"Origin": "https://evil.test"}, id="old browser"),
    pytest.param({"Origin": "null"}, id="sandbox"),
    pytest.param({"Sec-Fetch-Site": "cross-site"}, id="no origin"),
    pytest.param({"Sec-Fetch-Site": "none"}, id="nobody's page"),
    pytest.param(
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1:8081"},
        id="another name of the host",
    ),
]


@pytest.mark.parametrize("settings", TRANSPORTS)
@pytest.mark.parametrize("headers", FOREIGN_FORMS)
async def test_no_foreign_page_puts_a_session_into_a_browser(
    database_url: str, settings: dict[str, str], headers: dict[str, str]
) -> None:
    async with running_identity(
        identity_settings(database_url, IDENTITY_ALLOWED_ORIGINS=ORIGIN, **settings)
    ) as identity:
        mallory = cookie_header(await sign_in(identity))
        token = re.findall("refresh_token=([^;]+)", mallory)[0]
        requests = {
            "signin": {"username": "alice", "password": PASSWORD},
            "refreshtoken": {"refreshToken": token},
            "signup": {"username": "b", "email": "b@c.test", "password": PASSWORD},
            "signin/second-factor": {"challenge": "a", "code": "000000"},
            "signin/code/confirm": {"email": "b@c.test", "code": "00000000"},
            "passkeys": {"credential": "a"},
        }
        for path, form in requests.items():
            answer = await identity.send(
                "POST", f"/api/auth/{path}", data=form, headers=headers
            )
            assert (answer.status, answer.json["code"]) == (403, "cross_site_request")
            assert "localhost and 127.0.0.1 are different sites" in answer.message
            assert not answer.cookies
        signed_out = await identity.send(
            "POST", "/api/auth/signout", headers={"Cookie": mallory, **headers}
        )
        assert (signed_out.status, dict(signed_out.cookies)) == (200, {})
        again = await post(identity, "/api/auth/refreshtoken", mallory, FROM_OUR_PAGE)
        assert again.status == 200, (
            "the session goes on, and none of the above spent it"
        )


@pytest.mark.parametrize(("headers", "passes"), PAGES)
async def test_cookies_are_set_for_our_own_pages(
    identity: IdentityClient, headers: Mapping[str, str], *, passes: bool
) -> None:
    await identity.sign_up("alice")
    answer = await identity.sign_in("alice", headers=headers)

    assert answer.status == (200 if passes else 403)
    assert set(answer.cookies) == ({ACCESS, REFRESH} if passes else set())


async def test_clients_that_are_no_browser_get_tokens_and_no_cookies(
    database_url: str,
) -> None:
    settings = identity_settings(database_url, TUTORIAL_COMPAT="true")
    async with running_identity(settings) as identity:
        pair = await identity.signed_in("alice")
        refreshed = await identity.refresh(pair["refreshToken"])
        signed_out = await identity.sign_out(pair["refreshToken"])

        assert await identity.is_accepted(pair["accessToken"]) is False
    assert refreshed.json["accessToken"]
    assert not refreshed.cookies
    assert (signed_out.status, dict(signed_out.cookies)) == (200, {})


async def others(identity: IdentityClient) -> list[str]:
    """Return what applications on other ports may have put into the same cookie."""
    ended = (await identity.sign_in("alice", headers=FROM_OUR_PAGE)).cookies
    cookies = "; ".join(f"{name}={each.value}" for name, each in ended.items())
    await post(identity, "/api/auth/signout", cookies, FROM_OUR_PAGE)
    return [
        "abc",
        "a.b.c",
        "A" * 72,
        '"quoted"',
        ended[ACCESS].value,
        ended[REFRESH].value,
    ]


@pytest.mark.parametrize("place", ["first", "last"])
async def test_of_several_cookies_of_one_name_the_right_one_counts(
    identity: IdentityClient, place: str
) -> None:
    own = (await sign_in(identity)).cookies
    foreign = await others(identity)

    def cookies(name: str, value: str) -> str:
        values = [value, *foreign] if place == "first" else [*foreign, value]
        return "; ".join(f"{name}={each}" for each in values)

    access = cookies(ACCESS, own[ACCESS].value)
    me = await identity.send("GET", "/api/users/me", headers={"Cookie": access})
    refresh = cookies(REFRESH, own[REFRESH].value)
    refreshed = await post(identity, "/api/auth/refreshtoken", refresh, FROM_OUR_PAGE)
    successor = cookies(REFRESH, refreshed.cookies[REFRESH].value)
    signed_out = await post(identity, "/api/auth/signout", successor, FROM_OUR_PAGE)
    after = await post(identity, "/api/auth/refreshtoken", successor, FROM_OUR_PAGE)

    assert (me.status, refreshed.status, signed_out.status) == (200, 200, 200)
    assert (after.status, after.json["code"]) == (403, "invalid_grant")
    again = await identity.send("GET", "/api/users/me", headers={"Cookie": access})
    assert again.status == 401


async def test_a_spent_cookie_beside_its_successor_is_no_theft(
    identity: IdentityClient,
) -> None:
    spent = (await sign_in(identity)).cookies[REFRESH].value
    values = [spent]
    for _ in range(2):
        cookies = "; ".join(f"{REFRESH}={value}" for value in values)
        answer = await post(identity, "/api/auth/refreshtoken", cookies, FROM_OUR_PAGE)
        assert answer.status == 200
        successor = answer.cookies[REFRESH].value
        assert successor not in values
        values.append(successor)


async def test_no_more_than_a_few_cookies_are_tried(
    identity: IdentityClient,
) -> None:
    own = (await sign_in(identity)).cookies[ACCESS].value
    many = "; ".join(f"{ACCESS}={number}.b.c" for number in range(50))

    answer = await identity.send(
        "GET", "/api/users/me", headers={"Cookie": f"{many}; {ACCESS}={own}"}
    )

    assert answer.status == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/auth/signin"),
        ("GET", "/api/users/me"),
        ("GET", "/nowhere"),
        ("POST", "/api/auth/signout"),
    ],
)
async def test_c9_every_answer_has_the_security_headers(
    identity: IdentityClient, method: str, path: str
) -> None:
    answer = await identity.send(method, path)

    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert (
        answer.headers["Content-Security-Policy"]
        == "default-src 'none'; frame-ancestors 'none'"
    )
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-site"
    assert answer.headers["X-Request-Id"]
