"""What operators do with second factors, and what is removed by itself."""

from argparse import Namespace
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update
from tests.support.authenticators import Authenticator
from tests.support.database import connected
from tests.support.factors import challenge_of, enrolled, registered, second_step
from tests.support.identity import (
    KEYS,
    IdentityClient,
    MovableClock,
    identity_settings,
    random_key,
    registry_of,
    running_identity,
)

from identity_service import commands
from identity_service.composition import Services
from identity_service.domain.errors import SecretsUnopenedError, UserNotFoundError
from identity_service.storage.tables import (
    passkeys,
    recovery_codes,
    signing_keys,
    spent_challenges,
    totp_secrets,
)
from identity_service.usecases.factors.proofs import UntrustedProof

KEY_NAME = "IDENTITY_KEY_ENCRYPTION_KEYS"


async def rows(database_url: str) -> list[int | None]:
    """Return how many rows there are of each kind of factor."""
    counts = []
    async with connected(database_url) as engine, engine.connect() as connection:
        for table in (totp_secrets, recovery_codes, passkeys):
            counted = select(func.count()).select_from(table)
            counts.append(await connection.scalar(counted))
    return counts


async def test_lost_factors_are_reset_by_the_operator(
    identity: IdentityClient, clock: MovableClock, database_url: str
) -> None:
    user, said = await enrolled(identity, clock), list[str]()
    signed_in = await second_step(
        identity, await challenge_of(identity, "alice"), code=user.next_code(clock)
    )
    token = signed_in.json["accessToken"]
    await registered(identity, token, Authenticator())
    settings = identity_settings(database_url)

    code = await commands.reset_factors(
        settings, Namespace(username=" Alice "), said.append
    )

    assert (code, said[-1].partition(":")[2]) == (
        0,
        " 2 second factors removed, all sessions ended",
    )
    assert not await identity.is_accepted(token)
    assert (await identity.sign_in("alice")).status == 200
    assert await rows(database_url) == [0, 0, 0]
    with pytest.raises(UserNotFoundError):
        await commands.reset_factors(
            settings, Namespace(username="nobody"), said.append
        )


async def test_deleted_user_leaves_no_factor(
    identity: IdentityClient, clock: MovableClock, database_url: str, admin: str
) -> None:
    await enrolled(identity, clock)
    found = await identity.call("GET", "/api/users?search=alice", admin)
    path = f"/api/users/{found.json['users'][0]['id']}"

    assert (await identity.call("DELETE", path, admin)).status == 200

    assert await rows(database_url) == [0, 0, 0]


async def test_secrets_are_sealed_again_before_their_key_goes(
    database_url: str, clock: MovableClock
) -> None:
    old, new = KEYS[KEY_NAME], random_key()
    async with running_identity(identity_settings(database_url), clock=clock) as first:
        user = await enrolled(first, clock)

    both = identity_settings(database_url, **{KEY_NAME: f"{new},{old}"})
    said: list[str] = []
    assert await commands.reseal_signing_keys(both, Namespace(), said.append) == 0

    alone = identity_settings(database_url, **{KEY_NAME: new})
    async with running_identity(alone, clock=clock) as identity:
        challenge = await challenge_of(identity, "alice")
        code = user.next_code(clock)
        assert (await second_step(identity, challenge, code=code)).status == 200


async def test_a_signing_key_that_does_not_open_keeps_no_secret_from_it(
    database_url: str, clock: MovableClock
) -> None:
    old, new = KEYS[KEY_NAME], random_key()
    async with running_identity(identity_settings(database_url), clock=clock) as first:
        await enrolled(first, clock)
    async with connected(database_url) as engine, engine.begin() as connection:
        values = {"sealed_private_key": b"of a key that is lost"}
        await connection.execute(update(signing_keys).values(values))
    said: list[str] = []

    both = identity_settings(database_url, **{KEY_NAME: f"{new},{old}"})
    assert await commands.reseal_signing_keys(both, Namespace(), said.append) == 1

    assert said[0].startswith("signing key ")
    alone = identity_settings(database_url, **{KEY_NAME: new})
    async with Services(alone, clock=clock) as composed:
        assert await composed.factors.upkeep.reseal() == 0


async def test_secret_whose_key_is_gone_is_reported_to_the_operator(
    database_url: str, clock: MovableClock
) -> None:
    async with running_identity(identity_settings(database_url), clock=clock) as first:
        await enrolled(first, clock)
    lost = identity_settings(database_url, **{KEY_NAME: random_key()})
    async with Services(lost, clock=clock) as composed:
        with pytest.raises(SecretsUnopenedError, match="1 secrets"):
            await composed.factors.upkeep.reseal()


async def test_spent_challenges_go_when_they_have_expired(
    database_url: str, clock: MovableClock
) -> None:
    settings = identity_settings(database_url)
    async with running_identity(settings, clock=clock) as identity:
        user = await enrolled(identity, clock)
        challenge = await challenge_of(identity, "alice")
        code = user.next_code(clock)
        assert (await second_step(identity, challenge, code=code)).status == 200
    async with Services(settings, clock=clock) as composed:
        counted = select(func.count()).select_from(spent_challenges)
        left = []
        for wait in (timedelta(), timedelta(minutes=11)):
            clock.advance(wait)
            await composed.housekeeping.once()
            async with composed.engine.connect() as connection:
                left.append(await connection.scalar(counted))

    assert left == [1, 0]


async def test_outcomes_are_counted(database_url: str, clock: MovableClock) -> None:
    async with Services(identity_settings(database_url), clock=clock) as composed:
        registry = registry_of(composed)
        proofs = [
            UntrustedProof(code="000000"),
            UntrustedProof(code="aaaa-bbbb-cccc-dddd"),
            UntrustedProof(credential={"rawId": "AAAA"}),
        ]
        for proof in proofs:
            assert await composed.factors.proofs.judge(1, proof) is None

    counted = [
        registry.get_sample_value(
            "identity_second_factors_judged_total",
            {"factor": factor, "outcome": "wrong"},
        )
        for factor in ("totp", "recovery_code", "passkey")
    ]
    assert counted == [1, 1, 1]
