"""Which access tokens are believed."""

import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from tests.support.hostile_tokens import HOSTILE_TOKENS
from tests.support.tokens import (
    AUDIENCE,
    ISSUER,
    LISTS,
    OMIT,
    good_claims,
    mint,
    mint_as_identity_does,
    public_half,
)

from service_kit.tokens import (
    AccessClaims,
    InvalidTokenError,
    StaticKeySet,
    StatusReference,
    StatusUnavailableError,
    TokenVerifier,
    VerifiedTokens,
)

LONGEST_SECONDS = 0.5


class Statuses:
    """A status source that answers as told."""

    def __init__(self, status: int | Exception) -> None:
        self.status = status
        self.asked: list[StatusReference] = []

    def cached(self, reference: StatusReference, now: datetime) -> int | None:  # noqa: ARG002
        return None

    async def fetch(self, reference: StatusReference, now: datetime) -> int:  # noqa: ARG002
        self.asked.append(reference)
        if isinstance(self.status, Exception):
            raise self.status
        return self.status


class CachedStatuses(Statuses):
    """One whose list is cached."""

    def cached(self, reference: StatusReference, now: datetime) -> int | None:  # noqa: ARG002
        assert isinstance(self.status, int)
        return self.status


class Clock:
    """Tells the time that it was set to."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


def verifier(**options: Any) -> TokenVerifier:  # noqa: ANN401 - its own options
    keys = StaticKeySet([public_half()])
    return TokenVerifier(keys, issuer=ISSUER, audience=AUDIENCE, **options)


async def test_good_token_yields_its_claims() -> None:
    claims = good_claims()

    assert await verifier().verify(mint_as_identity_does(claims)) == AccessClaims(
        subject="42",
        roles=frozenset({"user"}),
        token_id=claims["jti"],
        session_id=claims["sid"],
        client_id="first-party",
        issued_at=datetime.fromtimestamp(claims["iat"], UTC),
        expires_at=datetime.fromtimestamp(claims["exp"], UTC),
        status=StatusReference(f"{LISTS}1", 0),
    )


async def test_a_token_of_no_session_is_accepted() -> None:
    token = mint_as_identity_does({"sid": OMIT})

    verified = await verifier().verify(token)

    assert verified.session_id is None


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"typ": "AT+JWT"}, id="T5-typ-in-capitals"),
        pytest.param({"typ": "application/at+jwt"}, id="T5-typ-in-full"),
        pytest.param({"typ": "Application/AT+JWT"}, id="T5-typ-in-full-capitals"),
        pytest.param({"x5t": "unused"}, id="unknown-header-member"),
    ],
)
async def test_header_within_the_rules_is_accepted(change: dict[str, Any]) -> None:
    assert (await verifier().verify(mint(header=change))).subject == "42"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"aud": [AUDIENCE]}, id="T7-aud-list-of-one"),
        pytest.param({"aud": ["billing", AUDIENCE]}, id="T7-aud-list-with-ours"),
        pytest.param({"exp": time.time() + 86_400.5}, id="T8-exp-fraction"),
        pytest.param({"nbf": int(time.time())}, id="T8-nbf-now"),
        pytest.param({"roles": []}, id="T13-no-roles-at-all"),
        pytest.param(
            {"roles": [f"role-{n:027}" for n in range(100)]}, id="T13-a-hundred-roles"
        ),
        pytest.param({"status": OMIT}, id="no-status"),
        pytest.param({"name": "J\u00f6rg"}, id="T9-other-claims-in-utf-8"),
        pytest.param({"note": "[[[[[[[[[[{{{{{{{"}, id="T12-brackets-in-a-text"),
    ],
)
async def test_claims_within_the_rules_are_accepted(change: dict[str, Any]) -> None:
    assert (await verifier().verify(mint(claims=change))).subject == "42"


@pytest.mark.parametrize("make", HOSTILE_TOKENS)
async def test_hostile_token_is_refused_at_once(make: Callable[[], str]) -> None:
    token = make()
    began_at = time.thread_time()

    with pytest.raises(InvalidTokenError):
        await verifier().verify(token)

    assert time.thread_time() - began_at < LONGEST_SECONDS


def test_the_table_of_hostile_tokens_is_long() -> None:
    assert len(HOSTILE_TOKENS) >= 150


@pytest.mark.parametrize(
    "roles",
    [
        pytest.param(["ADMIN"], id="T13-capitals"),
        pytest.param(["ROLE_ADMIN"], id="T13-prefixed"),
        pytest.param(["admin "], id="T13-trailing-space"),
        pytest.param(["administrator"], id="T13-longer"),
    ],
)
async def test_look_alike_role_is_not_the_role(roles: list[str]) -> None:
    claims = await verifier().verify(mint(claims={"roles": roles}))

    assert "admin" not in claims.roles


async def test_access_token_type_follows_the_issuers_setting() -> None:
    lenient = verifier(media_type="JWT")

    assert (await lenient.verify(mint(header={"typ": "JWT"}))).subject == "42"
    with pytest.raises(InvalidTokenError):
        await lenient.verify(mint(header={"typ": "statuslist+jwt"}))


async def test_t5_header_good_for_one_type_is_not_kept_for_another() -> None:
    token = mint()
    assert (await verifier().verify(token)).subject == "42"

    with pytest.raises(InvalidTokenError, match="typ"):
        await verifier(media_type="JWT").verify(token)


async def test_t1_refused_header_is_refused_again() -> None:
    token = mint(header={"alg": "none"})
    for _ in range(2):
        with pytest.raises(InvalidTokenError, match="alg"):
            await verifier().verify(token)


async def test_t15_kept_header_names_no_key_that_is_gone() -> None:
    assert (await verifier().verify(mint())).subject == "42"
    without = TokenVerifier(StaticKeySet([]), issuer=ISSUER, audience=AUDIENCE)

    with pytest.raises(InvalidTokenError, match="kid"):
        await without.verify(mint())


@pytest.mark.parametrize("seconds", [-1, 61])
def test_t8_clock_skew_is_bounded(seconds: int) -> None:
    with pytest.raises(ValueError, match="clock_skew"):
        verifier(clock_skew=timedelta(seconds=seconds))


@pytest.mark.parametrize("kept", [0, 10], ids=["unremembered", "remembered"])
async def test_token_lives_as_long_as_the_skew_allows(kept: int) -> None:
    clock = Clock()
    memory = VerifiedTokens(kept)
    subject = verifier(clock=clock, clock_skew=timedelta(seconds=30), memory=memory)
    token = mint(now=clock.now.timestamp())
    lifetime = timedelta(seconds=900)

    for ahead in (
        timedelta(seconds=-29),
        timedelta(),
        lifetime + timedelta(seconds=28),
    ):
        clock.now = datetime.now(UTC) + ahead
        assert (await subject.verify(token)).subject == "42"

    clock.now = datetime.now(UTC) + lifetime + timedelta(seconds=31)
    with pytest.raises(InvalidTokenError, match="expired"):
        await subject.verify(token)


async def test_clock_five_minutes_behind_refuses_new_tokens() -> None:
    clock = Clock()
    clock.now -= timedelta(minutes=5)

    with pytest.raises(InvalidTokenError, match="future"):
        await verifier(clock=clock).verify(mint())


async def test_s2_status_is_not_asked_for_an_invalid_token() -> None:
    statuses = Statuses(0)

    with pytest.raises(InvalidTokenError):
        await verifier(statuses=statuses).verify(mint(claims={"exp": 1}))

    assert statuses.asked == []


async def test_s2_valid_status_does_not_rescue_an_expired_token() -> None:
    clock = Clock()
    statuses = Statuses(0)
    subject = verifier(statuses=statuses, clock=clock)
    token = mint()
    assert (await subject.verify(token)).subject == "42"

    clock.now += timedelta(hours=1)
    with pytest.raises(InvalidTokenError, match="expired"):
        await subject.verify(token)

    assert len(statuses.asked) == 1


@pytest.mark.parametrize("status", [1, 2, 3, 12, 255])
async def test_any_status_but_valid_is_refused(status: int) -> None:
    with pytest.raises(InvalidTokenError, match="revoked"):
        await verifier(statuses=Statuses(status)).verify(mint())


async def test_remembered_token_is_refused_once_it_is_revoked() -> None:
    statuses = Statuses(0)
    subject = verifier(statuses=statuses)
    token = mint()
    assert (await subject.verify(token)).subject == "42"

    statuses.status = 1
    with pytest.raises(InvalidTokenError, match="revoked"):
        await subject.verify(token)


async def test_token_without_status_is_refused_where_one_is_required() -> None:
    token = mint(claims={"status": OMIT})

    with pytest.raises(InvalidTokenError, match="no status"):
        await verifier(statuses=Statuses(0)).verify(token)

    relaxed = verifier(statuses=Statuses(0), require_status=False)
    assert (await relaxed.verify(token)).subject == "42"


async def test_unknown_status_is_not_valid() -> None:
    statuses = Statuses(StatusUnavailableError("away"))

    with pytest.raises(StatusUnavailableError):
        await verifier(statuses=statuses).verify(mint())


def at_once(verification: Coroutine[Any, Any, AccessClaims]) -> AccessClaims | None:
    """Return the claims if nothing has to be waited for."""
    try:
        verification.send(None)
    except StopIteration as end:
        return cast("AccessClaims", end.value)
    verification.close()
    return None


async def test_what_is_cached_is_judged_at_once() -> None:
    statuses = CachedStatuses(0)
    subject = verifier(statuses=statuses)
    token = mint()

    claims = at_once(subject.verify(token))
    assert claims is not None
    assert claims == at_once(subject.verify(token)) == await subject.verify(token)
    assert statuses.asked == []

    statuses.status = 1
    with pytest.raises(InvalidTokenError, match="revoked"):
        at_once(subject.verify(token))


async def test_what_is_not_cached_is_fetched() -> None:
    statuses = Statuses(0)
    await verifier(statuses=statuses).verify(mint())
    assert len(statuses.asked) == 1

    keyless = TokenVerifier(StaticKeySet([]), issuer=ISSUER, audience=AUDIENCE)
    with pytest.raises(InvalidTokenError, match="kid"):
        await keyless.verify(mint())
