"""Sign and verify while signing keys rotate, by a verifier that obeys cache headers."""

import asyncio
import re
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any, Final

import jwt
from tests.support.identity import ISSUER, IdentityClient

from service_kit.tokens import TokenVerifier, VerificationKey, parse_jwk

_USERS: Final = 8
_PAUSE_SECONDS: Final = 0.05
_LEFT_SECONDS: Final = 2
"""What is left of a token's life when it is judged again."""


@dataclass
class ObedientKeySet:
    """Keeps a JWKS for exactly as long as it may, from whichever replica is next.

    A kid that it does not know is a refusal, never a reason to ask again.
    """

    replicas: Sequence[IdentityClient]
    fetches: int = 0
    fresh_until: float = 0
    keys: dict[str, VerificationKey] = field(default_factory=dict)
    fetching: asyncio.Lock = field(default_factory=asyncio.Lock)

    def cached(self, kid: str) -> VerificationKey | None:
        return self.keys.get(kid) if time.monotonic() < self.fresh_until else None

    async def fetch(self, kid: str) -> VerificationKey | None:
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

    tokens: list[str] = field(default_factory=list, repr=False)
    judged: int = 0
    kids: set[str] = field(default_factory=set)
    fetches: int = 0


async def rotate_under_load(
    replicas: Sequence[IdentityClient],
    seconds: float,
    *,
    kids: int,
    token_lifetime: float,
    issuer: str = ISSUER,
) -> Outcome:
    """Sign and verify until so many keys have signed; any refusal fails the test."""
    keys = ObedientKeySet(replicas)
    verifier = TokenVerifier(keys, issuer=issuer, audience="content")
    outcome, began_at = Outcome(), time.monotonic()
    issued: deque[tuple[float, str]] = deque()

    def goes_on() -> bool:
        lasted = time.monotonic() - began_at
        return lasted < seconds or (len(outcome.kids) < kids and lasted < 5 * seconds)

    async def use(pair: Any, client: IdentityClient) -> None:  # noqa: ANN401
        while goes_on():
            answer = await client.refresh(pair["refreshToken"])
            if answer.status == 503:  # the database is busy: not what is tested here
                continue
            assert answer.status == 200, answer.text
            pair = answer.json
            token: str = pair["accessToken"]
            await judge(token)
            issued.append((time.monotonic(), token))
            outcome.tokens.append(token)
            outcome.kids.add(jwt.get_unverified_header(token)["kid"])
            await asyncio.sleep(_PAUSE_SECONDS)

    async def use_old() -> None:
        """Judge each token again when it has little left of its life."""
        while goes_on():
            old = time.monotonic() - token_lifetime + _LEFT_SECONDS
            while issued and issued[0][0] < old:
                await judge(issued.popleft()[1])
            await asyncio.sleep(_PAUSE_SECONDS)

    async def judge(token: str) -> None:
        await verifier.verify(token)
        outcome.judged += 1

    pairs = [await replicas[0].signed_in(f"rotated{n}") for n in range(_USERS)]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(use_old())
        for pair, client in zip(pairs, cycle(replicas), strict=False):
            tasks.create_task(use(pair, client))
    outcome.fetches = keys.fetches
    return outcome
