"""Where a request's access token is found."""

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from service_kit.requests.credentials import (
    MOST_CANDIDATES,
    Credentials,
    CredentialsSource,
    MalformedCredentialsError,
    access_token_cookie,
    read_access_token,
)

HEADER = CredentialsSource.HEADER
COOKIE = CredentialsSource.COOKIE
COOKIE_NAME = access_token_cookie(secure=False)


def read(*headers: tuple[str, str]) -> Credentials | None:
    request = make_mocked_request("GET", "/", headers=CIMultiDict(headers))
    return read_access_token(request.headers, cookie=COOKIE_NAME)


@pytest.mark.parametrize(
    ("headers", "token", "source"),
    [
        pytest.param([("x-access-token", "t")], "t", HEADER, id="own-header"),
        pytest.param([("X-Access-Token", "t")], "t", HEADER, id="own-header-capitals"),
        pytest.param([("Authorization", "Bearer t")], "t", HEADER, id="bearer"),
        pytest.param([("Authorization", "bEaReR t")], "t", HEADER, id="B3-any-case"),
        pytest.param(
            [("Authorization", "Bearer a.b-c_d~e+f/g==")],
            "a.b-c_d~e+f/g==",
            HEADER,
            id="B3-every-b64token-character",
        ),
        pytest.param(
            [("x-access-token", "t"), ("Authorization", "Bearer t")],
            "t",
            HEADER,
            id="both-headers-agree",
        ),
        pytest.param([("Cookie", "access_token=t")], "t", COOKIE, id="cookie"),
        pytest.param(
            [("Cookie", "a=1; access_token=t; b=2")], "t", COOKIE, id="among-cookies"
        ),
        pytest.param(
            [("Cookie", "access_token=t; access_token=t")],
            "t",
            COOKIE,
            id="same-cookie-twice",
        ),
        pytest.param(
            [("x-access-token", "t"), ("Cookie", "access_token=u")],
            "t",
            HEADER,
            id="header-beats-cookie",
        ),
        pytest.param(
            [("x-access-token", ""), ("Cookie", "access_token=u")],
            "u",
            COOKIE,
            id="empty-header-is-none",
        ),
        pytest.param(
            [("Authorization", "Basic dTpw"), ("Cookie", "access_token=u")],
            "u",
            COOKIE,
            id="another-scheme-does-not-hide-the-cookie",
        ),
        pytest.param(
            [("x-access-token", "junk!"), ("Cookie", "access_token=u")],
            "junk!",
            HEADER,
            id="bad-header-still-beats-cookie",
        ),
    ],
)
def test_token_is_found(
    headers: list[tuple[str, str]], token: str, source: CredentialsSource
) -> None:
    assert read(*headers) == Credentials((token,), source)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([], id="B1-nothing"),
        pytest.param([("x-access-token", "")], id="empty-own-header"),
        pytest.param([("Authorization", "")], id="empty-authorization"),
        pytest.param([("Authorization", "Bearer")], id="bearer-of-nothing"),
        pytest.param([("Authorization", "Basic dTpw")], id="another-scheme"),
        pytest.param([("Cookie", "access_token=")], id="empty-cookie"),
        pytest.param([("Cookie", "Access_Token=t")], id="another-cookie"),
        pytest.param([("Cookie", "__Secure-access_token=t")], id="the-secure-cookie"),
        pytest.param([("Cookie", ";;=;access_token")], id="odd-cookies"),
    ],
)
def test_request_without_a_token_has_none(headers: list[tuple[str, str]]) -> None:
    assert read(*headers) is None


@pytest.mark.parametrize(
    "headers",
    [
        *(
            pytest.param([("Authorization", value)], id=f"B3-{name}")
            for name, value in {
                "junk-after-it": "Bearer t junk",
                "two-spaces": "Bearer  t",
                "tab": "Bearer\tt",
                "comma-list": "Bearer t, Bearer u",
                "quoted": 'Bearer "t"',
                "equals-first": "Bearer =t",
                "no-space": "Bearert",
                "not-ascii": "Bearer \u00e9",
                "long-s": "Bearer \u017f",
            }.items()
        ),
        pytest.param(
            [("Authorization", "Bearer t"), ("Authorization", "Bearer u")],
            id="B4-two-authorizations",
        ),
        pytest.param(
            [("Authorization", "Bearer t"), ("Authorization", "Bearer t")],
            id="B4-same-authorization-twice",
        ),
        pytest.param(
            [("Authorization", "Basic dTpw"), ("Authorization", "Bearer t")],
            id="B4-two-schemes",
        ),
        pytest.param(
            [("x-access-token", "t"), ("x-access-token", "u")], id="B4-own-header-twice"
        ),
        pytest.param(
            [("x-access-token", "t"), ("Authorization", "Bearer u")],
            id="B2-headers-differ",
        ),
        pytest.param(
            [("Authorization", "Bearer u"), ("x-access-token", "t")],
            id="B2-headers-differ-in-the-other-order",
        ),
    ],
)
def test_request_that_names_no_one_token_is_malformed(
    headers: list[tuple[str, str]],
) -> None:
    with pytest.raises(MalformedCredentialsError):
        read(*headers)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([("Cookie", "access_token=t; access_token=u")], id="one-header"),
        pytest.param(
            [("Cookie", "access_token=t"), ("Cookie", "access_token=u")],
            id="two-headers",
        ),
        pytest.param(
            [("Cookie", "access_token=t; a=b; access_token=t; access_token=u")],
            id="one-twice",
        ),
    ],
)
def test_cookies_of_one_name_are_all_candidates(headers: list[tuple[str, str]]) -> None:
    assert read(*headers) == Credentials(("t", "u"), COOKIE)


def test_candidates_are_few() -> None:
    cookies = "; ".join(f"access_token={number}" for number in range(100))

    found = read(("Cookie", cookies))

    assert found is not None
    assert found.untrusted_tokens == tuple(map(str, range(MOST_CANDIDATES)))


def test_secure_cookie_has_the_prefix_that_browsers_guard() -> None:
    assert access_token_cookie(secure=True).startswith("__Secure-")
