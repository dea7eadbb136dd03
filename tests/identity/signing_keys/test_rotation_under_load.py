"""Rotation every few seconds, seen by a verifier that obeys the cache headers."""

import asyncio
import re
import time
from collections import deque
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import jwt
import pytest
from tests.support.identity import (
    ISSUER,
    IdentityClient,
    identity_settings,
    running_identity,
)

from service_kit.tokens import TokenVerifier, VerificationKey, parse_jwk

LIFETIME_SECONDS = 5
USERS = 8


@dataclass
class ObedientKeySet:
    """Keeps a JWKS for exactly as long as it may, from whichever replica is next.

    A kid that it does not know is a refusal, never a reason to ask again.
    """

    replicas: list[IdentityClient]
    fetches: int = 0
    fresh_until: float = 0
    keys: dict[str, VerificationKey] = field(default_factory=dict)
    fetching: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def get(self, kid: str) -> VerificationKey | None:
        async with self.fetching:
            if time.monotonic() >= self.fresh_until:
                await self._fetch()
        return self.keys.get(kid)

    async def _fetch(self) -> None:
        replica = self.replicas[self.fetches % len(self.replicas)]
        answer = await replica.send("GET", "/.well-known/jwks.json")
        assert answer.status == 200
        self.fetches += 1
        max_age = re.search(r"max-age=(\d+)", answer.headers["Cache-Control"])
        assert max_age is not None
        self.fresh_until = time.monotonic() + int(max_age[1])
        keys = [parse_jwk(jwk) for jwk in answer.json["keys"]]
        self.keys = {key.kid: self.keys.get(key.kid, key) for key in keys}


@dataclass
class Outcome:
    """What a run has shown."""

    tokens: int = 0
    judged: int = 0
    kids: set[str] = field(default_factory=set)
    fetches: int = 0


async def rotate_under_load(
    url: str, seconds: float, *, kids: int, **settings: str
) -> Outcome:
    """Sign and verify until so many keys have signed; any refusal fails the test."""
    chosen = identity_settings(
        url, IDENTITY_ACCESS_TOKEN_LIFETIME=str(LIFETIME_SECONDS), **settings
    )
    outcome, began_at = Outcome(), time.monotonic()
    issued: deque[tuple[float, str]] = deque()

    def goes_on() -> bool:
        lasted = time.monotonic() - began_at
        return lasted < seconds or (len(outcome.kids) < kids and lasted < 5 * seconds)

    async def use(verifier: TokenVerifier, pair: Any, client: IdentityClient) -> None:  # noqa: ANN401
        while goes_on():
            answer = await client.refresh(pair["refreshToken"])
            if answer.status == 503:  # the database is busy: not what is tested here
                continue
            assert answer.status == 200, answer.text
            pair = answer.json
            await judge(verifier, pair["accessToken"])
            issued.append((time.monotonic(), pair["accessToken"]))
            outcome.tokens += 1
            outcome.kids.add(jwt.get_unverified_header(pair["accessToken"])["kid"])
            await asyncio.sleep(0.05)

    async def use_old(verifier: TokenVerifier) -> None:
        """Judge each token again when it has little left of its life."""
        while goes_on():
            while issued and issued[0][0] < time.monotonic() - LIFETIME_SECONDS + 2:
                await judge(verifier, issued.popleft()[1])
            await asyncio.sleep(0.05)

    async def judge(verifier: TokenVerifier, token: str) -> None:
        await verifier.verify(token)
        outcome.judged += 1

    async with running_identity(chosen) as one, running_identity(chosen) as other:
        keys = ObedientKeySet([one, other])
        verifier = TokenVerifier(keys, issuer=ISSUER, audience="content")
        pairs = [await one.signed_in(f"user{number}") for number in range(USERS)]
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(use_old(verifier))
            for pair, client in zip(pairs, cycle([one, other]), strict=False):
                tasks.create_task(use(verifier, pair, client))
    outcome.fetches = keys.fetches
    return outcome


async def test_k4_no_token_is_refused_while_keys_rotate_every_few_seconds(
    database_url: str,
) -> None:
    outcome = await rotate_under_load(
        database_url,
        12,
        kids=3,
        IDENTITY_JWKS_MAX_AGE="1",
        IDENTITY_SIGNING_KEY_PREPUBLICATION="5",
        IDENTITY_SIGNING_KEY_LIFETIME="3",
    )
    assert len(outcome.kids) >= 3
    assert outcome.judged > outcome.tokens > 50
    assert outcome.fetches < outcome.judged / 3, "the JWKS was not kept"


@pytest.mark.faults
@pytest.mark.timeout(240)
async def test_f10_no_token_is_refused_in_two_minutes_of_rotations_every_ten_seconds(
    database_url: str,
) -> None:
    outcome = await rotate_under_load(
        database_url,
        120,
        kids=10,
        IDENTITY_JWKS_MAX_AGE="3",
        IDENTITY_SIGNING_KEY_PREPUBLICATION="6",
        IDENTITY_SIGNING_KEY_LIFETIME="10",
    )
    assert len(outcome.kids) >= 10
    assert outcome.judged > outcome.tokens > 500
