"""Requests that began before what happened meanwhile."""

import time

import pytest
from tests.support.identity import IdentityClient, identity_settings, running_identity


async def refresh(identity: IdentityClient, token: str, *, seconds_ago: float) -> int:
    """Refresh as a gateway does that got the request so long ago; return the status."""
    began_at = int((time.time() - seconds_ago) * 1000)
    response = await identity.send(
        "POST",
        "/api/auth/refreshtoken",
        json={"refreshToken": token},
        headers={"X-Request-Start": str(began_at)},
    )
    return response.status


async def rotated_twice(identity: IdentityClient) -> tuple[str, str]:
    """Return the first refresh token of a session, and its third."""
    first = (await identity.signed_in("alice"))["refreshToken"]
    assert await refresh(identity, first, seconds_ago=0) == 200
    second = (await identity.refresh(first)).json["refreshToken"]
    third = (await identity.refresh(second)).json["refreshToken"]
    return first, third


async def test_request_from_before_the_rotation_is_no_reuse(
    identity: IdentityClient,
) -> None:
    first, third = await rotated_twice(identity)
    assert await refresh(identity, first, seconds_ago=10) == 403
    assert (await identity.refresh(third)).status == 200


async def test_r3_request_from_after_the_rotation_is_reuse(
    identity: IdentityClient,
) -> None:
    first, third = await rotated_twice(identity)
    assert await refresh(identity, first, seconds_ago=0) == 403
    assert (await identity.refresh(third)).status == 403


async def test_request_that_nobody_waits_for_is_not_acted_on(
    identity: IdentityClient,
) -> None:
    first = (await identity.signed_in("alice"))["refreshToken"]
    assert await refresh(identity, first, seconds_ago=0) == 200
    second = (await identity.refresh(first)).json["refreshToken"]
    assert await refresh(identity, second, seconds_ago=20) == 503
    third = (await identity.refresh(second)).json["refreshToken"]
    assert third != second
    assert await refresh(identity, first, seconds_ago=20) == 503
    assert (await identity.refresh(third)).status == 200


async def test_clients_word_on_when_a_request_began_counts_for_nothing(
    database_url: str,
) -> None:
    settings = identity_settings(database_url, IDENTITY_TRUSTED_PROXIES="192.0.2.1/32")
    async with running_identity(settings) as identity:
        first, third = await rotated_twice(identity)
        assert await refresh(identity, third, seconds_ago=1000) == 200
        assert await refresh(identity, first, seconds_ago=10) == 403
        assert (await identity.refresh(third)).status == 403


@pytest.mark.parametrize("told", ["soon", "-1", "1e9", "", "9" * 16, "1, 2"])
async def test_what_is_no_moment_is_ignored(
    identity: IdentityClient, told: str
) -> None:
    response = await identity.send(
        "GET", "/.well-known/jwks.json", headers={"X-Request-Start": told}
    )
    assert response.status == 200
