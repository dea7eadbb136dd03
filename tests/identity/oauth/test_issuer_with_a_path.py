"""An issuer such as https://example.com/auth, behind a proxy that removes the path."""

import pytest
from tests.support.identity import (
    IdentityClient,
    create_admin,
    identity_settings,
)
from tests.support.tokens import claims_of

from identity_service.settings import Settings
from service_kit.discovery import METADATA, metadata_url

ISSUER = "http://identity.test/some/auth"


@pytest.fixture
def settings(database_url: str) -> Settings:
    return identity_settings(
        database_url, IDENTITY_ISSUER=ISSUER, IDENTITY_TOKEN_TRANSPORT="both"
    )


@pytest.mark.parametrize(
    ("issuer", "url"),
    [
        ("https://id.example", "https://id.example/.well-known/"),
        ("https://id.example:8443/a/b", "https://id.example:8443/.well-known/"),
    ],
)
def test_k5_the_issuers_path_comes_after_the_well_known_one(
    issuer: str, url: str
) -> None:
    assert metadata_url(issuer).startswith(url)
    assert metadata_url(issuer).endswith("/a/b") is issuer.endswith("/a/b")


async def test_k5_metadata_is_where_clients_look_for_it(
    identity: IdentityClient,
) -> None:
    pair = await identity.signed_in("alice")
    direct = metadata_url(ISSUER).removeprefix("http://identity.test")
    for path in (direct, METADATA, "/.well-known/openid-configuration"):
        answer = await identity.send("GET", path)
        assert answer.json["issuer"] == ISSUER == claims_of(pair["accessToken"])["iss"]
        assert answer.json["jwks_uri"] == f"{ISSUER}/.well-known/jwks.json"

    for path in (f"{METADATA}/other", f"{METADATA}/some", f"{direct}/"):
        assert (await identity.send("GET", path)).status == 404


async def test_browsers_send_the_cookies_where_they_are_used(
    identity: IdentityClient,
) -> None:
    await identity.sign_up("alice")
    own_page = {"Sec-Fetch-Site": "same-origin"}
    signed_in = await identity.sign_in("alice", headers=own_page)
    signed_out = await identity.send("POST", "/api/auth/signout", headers=own_page)

    for answer in (signed_in, signed_out):
        paths = {name: cookie["path"] for name, cookie in answer.cookies.items()}
        assert paths == {
            "access_token": "/some/auth/api",
            "refresh_token": "/some/auth/api/auth",
        }


async def test_what_is_made_is_found_below_the_path(
    identity: IdentityClient, database_url: str
) -> None:
    await create_admin(database_url)
    admin = (await identity.sign_in("boss")).json["accessToken"]
    role = {"name": "editor", "description": "Edits."}
    made = await identity.call("POST", "/api/roles", admin, json=role)

    assert made.headers["Location"] == "/some/auth/api/roles/editor"
