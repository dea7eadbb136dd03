import asyncio
import gzip
import json
from typing import Any

import jwt
import pytest
from aiohttp import ClientSession
from sqlalchemy import insert, select
from tests.support.database import connected
from tests.support.identity import (
    ISSUER,
    LISTS,
    OTHER_PASSWORD,
    PASSWORD,
    IdentityClient,
    list_path,
)
from tests.support.tokens import claims_of

from identity_service.storage.tables import roles, user_roles
from service_kit.tokens import (
    StaticKeySet,
    Status,
    StatusList,
    parse_jwk,
    verify_status_list,
)


def place(access_token: str) -> tuple[str, int]:
    claims = claims_of(access_token)
    reference = claims["status"]["status_list"]
    return reference["uri"], reference["idx"]


async def statuses(identity: IdentityClient) -> StatusList:
    """Return the list as a verifier takes it, a second after whatever was done."""
    await asyncio.sleep(1)
    jwks = (await identity.send("GET", "/.well-known/jwks.json")).json
    keys = StaticKeySet(parse_jwk(jwk) for jwk in jwks["keys"])
    path = await list_path(identity)
    answer = await identity.send("GET", path)
    verified = await verify_status_list(answer.text, keys, uri=f"{ISSUER}{path}")
    return verified.statuses


async def is_revoked(identity: IdentityClient, pair: Any) -> bool:  # noqa: ANN401
    uri, idx = place(pair["accessToken"])
    assert uri == f"{ISSUER}{await list_path(identity)}"
    return (await statuses(identity))[idx] == Status.INVALID


async def test_s6_end_of_a_session_lands_in_the_list(identity: IdentityClient) -> None:
    pair, other = (
        await identity.signed_in("alice"),
        (await identity.sign_in("alice")).json,
    )
    assert not await is_revoked(identity, pair)
    await identity.sign_out(pair["refreshToken"])
    assert await is_revoked(identity, pair)
    assert not await is_revoked(identity, other)


async def test_r3_reuse_lands_in_the_list_for_every_token_of_the_session(
    identity: IdentityClient,
) -> None:
    first = await identity.signed_in("alice")
    second = (await identity.refresh(first["refreshToken"])).json
    third = (await identity.refresh(second["refreshToken"])).json
    assert (await identity.refresh(first["refreshToken"])).status == 403

    revoked = await statuses(identity)
    for pair in (first, second, third):
        assert revoked[place(pair["accessToken"])[1]] == Status.INVALID


async def test_r6_password_change_lands_in_the_list_for_other_sessions(
    identity: IdentityClient,
) -> None:
    pair = await identity.signed_in("alice")
    other = (await identity.sign_in("alice")).json
    answer = await identity.call(
        "POST",
        "/api/users/me/password",
        pair["accessToken"],
        json={"currentPassword": PASSWORD, "newPassword": OTHER_PASSWORD},
    )
    assert answer.status == 200, answer.text
    assert await is_revoked(identity, other)


async def test_list_is_a_signed_list_that_is_revalidated(
    identity: IdentityClient,
) -> None:
    await identity.signed_in("alice")
    path = await list_path(identity)
    answer = await identity.send("GET", path)

    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/statuslist+jwt"
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert jwt.get_unverified_header(answer.text)["typ"] == "statuslist+jwt"
    claims = claims_of(answer.text)
    assert claims["sub"] == f"{ISSUER}{path}"
    assert claims["ttl"] == 15
    assert claims["exp"] - claims["iat"] == 900

    again = await identity.send(
        "GET", path, headers={"If-None-Match": answer.headers["ETag"]}
    )
    assert again.status == 304


@pytest.mark.parametrize(
    ("accepted", "is_gzipped"),
    [
        ("gzip", True),
        ("br, gzip;q=0.5", True),
        ("GZIP", True),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000, br", False),
        ("", False),
    ],
)
async def test_list_is_gzipped_for_those_who_accept_it(
    identity: IdentityClient, accepted: str, *, is_gzipped: bool
) -> None:
    await identity.signed_in("alice")
    path = await list_path(identity)
    plain = (
        await identity.send("GET", path, headers={"Accept-Encoding": "identity"})
    ).text
    async with (
        ClientSession(auto_decompress=False) as session,
        session.get(
            f"{identity.base_url}{path}", headers={"Accept-Encoding": accepted}
        ) as answer,
    ):
        body = await answer.read()
        assert (answer.headers.get("Content-Encoding") == "gzip") is is_gzipped
    assert (gzip.decompress(body) if is_gzipped else body) == plain.encode()


@pytest.mark.parametrize("name", ["2", "0", "01", "x", "-1", "1/", "9" * 30, "%31%30"])
async def test_other_lists_are_not_found(identity: IdentityClient, name: str) -> None:
    await identity.signed_in("alice")
    answer = await identity.send("GET", f"/api/auth/statuslists/{name}")
    assert answer.status == 404
    assert answer.json["code"] == "not_found"


async def test_lists_of_other_times_are_not_implemented(
    identity: IdentityClient,
) -> None:
    await identity.signed_in("alice")
    path = await list_path(identity)
    answer = await identity.send("GET", f"{path}?time=1")
    assert answer.status == 501


async def test_aggregation_names_every_list(identity: IdentityClient) -> None:
    await identity.signed_in("alice")
    path = await list_path(identity)
    answer = await identity.send("GET", LISTS)
    assert answer.headers["Content-Type"].startswith("application/json")
    assert json.loads(answer.text) == {"status_lists": [f"{ISSUER}{path}"]}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        pytest.param("PUT", "/roles", {"roles": ["moderator"]}, id="R7 role change"),
        pytest.param("PATCH", "", {"disabled": True}, id="R6 disabled"),
        pytest.param("DELETE", "/sessions", None, id="R6 sessions ended"),
        pytest.param("DELETE", "", None, id="R6 deleted"),
    ],
)
async def test_what_an_administrator_does_lands_in_the_list(
    identity: IdentityClient,
    database_url: str,
    method: str,
    path: str,
    body: dict[str, object] | None,
) -> None:
    user, root = await identity.signed_in("alice"), await identity.signed_in("root")
    async with connected(database_url) as engine, engine.begin() as connection:
        await connection.execute(
            insert(user_roles).from_select(
                ["user_id", "role_id"],
                select(root["id"], roles.c.id).where(roles.c.name == "admin"),
            )
        )
    admin = (await identity.sign_in("root")).json
    assert not await is_revoked(identity, user)

    answer = await identity.call(
        method, f"/api/users/{user['id']}{path}", admin["accessToken"], json=body
    )

    assert answer.status == 200, answer.text
    assert await is_revoked(identity, user)
    assert not await is_revoked(identity, admin)
