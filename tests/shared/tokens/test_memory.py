"""What is remembered of verified tokens, and what is not."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support.tokens import AUDIENCE, ISSUER, mint, public_half

from service_kit.tokens import (
    AccessClaims,
    InvalidTokenError,
    StaticKeySet,
    TokenVerifier,
    VerificationKey,
    VerifiedTokens,
)
from service_kit.tokens.memory import CAPACITY


class CountingKey(VerificationKey):
    """Counts how often a signature was checked."""

    checks = 0

    def has_signed(self, message: bytes, signature: bytes) -> bool:
        CountingKey.checks += 1
        return super().has_signed(message, signature)


class ChangingKeySet:
    """Holds what the test puts there."""

    def __init__(self, *keys: VerificationKey) -> None:
        self.keys = {key.kid: key for key in keys}

    def cached(self, kid: str) -> VerificationKey | None:
        return self.keys.get(kid)

    async def fetch(self, kid: str) -> VerificationKey | None:
        return self.keys.get(kid)


def counting_key() -> CountingKey:
    CountingKey.checks = 0
    return CountingKey(public_half().kid, public_half().public_key)


def claims() -> AccessClaims:
    now = datetime.now(UTC)
    return AccessClaims("42", frozenset(), "j", "s", "c", now, now, None)


async def test_signature_is_checked_once_for_a_remembered_token() -> None:
    keys = StaticKeySet([counting_key()])
    verifier = TokenVerifier(keys, issuer=ISSUER, audience=AUDIENCE)
    token = mint()

    assert await verifier.verify(token) == await verifier.verify(token)

    assert CountingKey.checks == 1


async def test_changed_token_is_not_the_remembered_one() -> None:
    keys = StaticKeySet([public_half()])
    verifier = TokenVerifier(keys, issuer=ISSUER, audience=AUDIENCE)
    token = mint()
    await verifier.verify(token)

    with pytest.raises(InvalidTokenError):
        await verifier.verify(token[:-6] + "AAAAAA")


async def test_remembered_token_does_not_outlive_its_key() -> None:
    keys = ChangingKeySet(public_half())
    memory = VerifiedTokens()
    verifier = TokenVerifier(keys, issuer=ISSUER, audience=AUDIENCE, memory=memory)
    token = mint()
    await verifier.verify(token)

    keys.keys.clear()
    with pytest.raises(InvalidTokenError, match="kid"):
        await verifier.verify(token)
    assert len(memory) == 0


async def test_remembered_token_is_judged_again_when_its_kid_names_another_key() -> (
    None
):
    keys = ChangingKeySet(public_half())
    verifier = TokenVerifier(keys, issuer=ISSUER, audience=AUDIENCE)
    token = mint()
    await verifier.verify(token)

    kid = public_half().kid
    keys.keys[kid] = VerificationKey(kid, public_half("evil").public_key)
    with pytest.raises(InvalidTokenError, match="signature"):
        await verifier.verify(token)


async def test_refused_token_is_not_remembered() -> None:
    memory = VerifiedTokens()
    keys = StaticKeySet([public_half()])
    verifier = TokenVerifier(keys, issuer=ISSUER, audience=AUDIENCE, memory=memory)

    with pytest.raises(InvalidTokenError):
        await verifier.verify(mint(claims={"iss": "https://evil.example"}))

    assert len(memory) == 0


def test_memory_is_bounded_and_the_oldest_goes_first() -> None:
    memory = VerifiedTokens(capacity=3)
    tokens = [f"token {n}" for n in range(100_000)]

    for token in tokens:
        memory.remember(token, claims(), public_half())

    assert len(memory) == 3
    assert [memory.get(token) is not None for token in tokens[-4:]] == [
        False,
        True,
        True,
        True,
    ]


def test_token_is_kept_as_a_digest_only() -> None:
    memory = VerifiedTokens()
    memory.remember("the token itself", claims(), public_half())

    assert memory.get("the token itself")
    assert "the token itself" not in str(vars(memory))


def test_a_million_tokens_take_no_more_room_than_are_remembered() -> None:
    memory, known, key = VerifiedTokens(), claims(), public_half()

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    def remember(numbers: range) -> None:
        for number in numbers:
            memory.remember(str(number), replace(known), key)

    remember(range(100_000))
    before = resident()
    remember(range(100_000, 1_000_000))

    assert len(memory) == CAPACITY
    assert resident() - before < 2 << 20
