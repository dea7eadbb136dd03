import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from tests.identity.signing_keys.processes import SCHEDULE, Process, process
from tests.support.database import connected
from tests.support.manual_clock import ManualClock

from identity_service.domain.errors import (
    KeyTooNewError,
    LostRaceError,
)
from identity_service.domain.signing_keys import KeyState, Step, in_slot
from identity_service.storage.tables import audit_events, signing_keys

SECOND = timedelta(seconds=1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def one(database_url: str, clock: ManualClock) -> AsyncIterator[Process]:
    async with process(database_url, clock) as opened:
        yield opened


@pytest.fixture
async def other(database_url: str, clock: ManualClock) -> AsyncIterator[Process]:
    async with process(database_url, clock) as opened:
        yield opened


async def settled(one: Process) -> None:
    """Take steps until none is due."""
    while await one.rotation.advance() is not None:
        pass


async def states(one: Process, clock: ManualClock) -> Counter[KeyState]:
    return Counter(record.state(clock()) for record in await one.keys.refresh())


async def test_two_processes_that_start_at_once_end_with_one_active_key(
    one: Process, other: Process, clock: ManualClock
) -> None:
    await asyncio.gather(one.rotation.advance(), other.rotation.advance())
    await asyncio.gather(one.rotation.advance(), other.rotation.advance())
    await asyncio.gather(one.keys.refresh(), other.keys.refresh())

    assert await states(one, clock) == Counter([KeyState.ACTIVE, KeyState.NEXT])
    assert (await one.keys.active()).kid == (await other.keys.active()).kid
    assert one.keys.jwks() == other.keys.jwks()


async def test_k4_next_key_signs_only_after_a_life_and_its_publication(
    one: Process, clock: ManualClock
) -> None:
    await settled(one)
    first = (await one.keys.active()).kid

    clock.advance(SCHEDULE.lifetime - SECOND)
    assert await one.rotation.advance() is None
    clock.advance(SECOND)
    assert await one.rotation.advance() is Step.ROTATE

    second = (await one.keys.active()).kid
    assert second != first
    assert await one.keys.fetch(first) is not None
    assert await states(one, clock) == Counter([KeyState.RETIRING, KeyState.ACTIVE])


async def test_k4_key_published_late_signs_late(
    one: Process, clock: ManualClock
) -> None:
    await one.rotation.advance()
    clock.advance(SCHEDULE.lifetime)
    assert await one.rotation.advance() is Step.PUBLISH

    clock.advance(SCHEDULE.publication - SECOND)
    assert await one.rotation.advance() is None
    clock.advance(SECOND)
    assert await one.rotation.advance() is Step.ROTATE


async def test_k4_publication_is_never_shorter_than_verifiers_keep_the_jwks() -> None:
    hasty = type(SCHEDULE)(
        lifetime=timedelta(days=1),
        prepublication=timedelta(),
        jwks_max_age=timedelta(minutes=15),
        access_token_lifetime=timedelta(minutes=15),
    )
    assert hasty.publication >= hasty.jwks_max_age + hasty.poll + SECOND * 60


async def test_k4_old_key_is_published_until_its_last_token_has_expired(
    one: Process, clock: ManualClock
) -> None:
    await settled(one)
    first = (await one.keys.active()).kid
    clock.advance(SCHEDULE.lifetime)
    await settled(one)

    clock.advance(
        SCHEDULE.confirmation + SCHEDULE.access_token_lifetime + 60 * SECOND - SECOND
    )
    await one.rotation.advance()
    assert await one.keys.fetch(first) is not None
    clock.advance(SECOND)
    await one.rotation.advance()
    assert await one.keys.fetch(first) is None
    assert first not in [record.kid for record in await one.keys.refresh()]


async def test_k4_private_half_is_destroyed_at_retirement(
    one: Process, clock: ManualClock, database_url: str
) -> None:
    await settled(one)
    clock.advance(SCHEDULE.lifetime)
    await settled(one)

    async with connected(database_url) as engine, engine.connect() as connection:
        rows = await connection.execute(
            select(signing_keys.c.slot, signing_keys.c.sealed_private_key)
        )
        sealed = {row.slot: row.sealed_private_key for row in rows}
    assert sealed[None] is None
    assert sealed["active"] is not None
    assert sealed["next"] is not None


async def test_of_many_processes_one_rotates(
    one: Process, other: Process, clock: ManualClock
) -> None:
    await settled(one)
    await other.keys.refresh()
    clock.advance(SCHEDULE.lifetime)
    await asyncio.gather(one.rotation.advance(), other.rotation.advance())
    await asyncio.gather(one.keys.refresh(), other.keys.refresh())

    assert (await one.keys.active()).kid == (await other.keys.active()).kid
    assert (await states(one, clock))[KeyState.ACTIVE] == 1


async def test_k4_process_that_lags_asks_before_it_signs_on(
    one: Process, other: Process, clock: ManualClock
) -> None:
    await settled(one)
    old = await other.keys.active()
    clock.advance(SCHEDULE.lifetime)
    await settled(one)

    clock.advance(SCHEDULE.confirmation + SECOND)

    assert (await other.keys.active()).kid != old.kid


async def test_k4_process_whose_clock_is_ahead_cannot_rotate_early(
    one: Process, database_url: str, clock: ManualClock
) -> None:
    await settled(one)
    active, following = in_slot(await one.keys.refresh())
    assert active is not None
    assert following is not None
    async with connected(database_url) as engine, engine.begin() as connection:
        await connection.execute(
            update(signing_keys)
            .where(signing_keys.c.kid == following.kid)
            .values(published_at=clock() + SCHEDULE.lifetime)
        )
    clock.advance(SCHEDULE.lifetime)

    with pytest.raises(LostRaceError):
        await one.rotation._replace(active, following)
    await one.keys.refresh()
    assert (await one.keys.active()).kid == active.kid


async def test_k3_max_age_never_outlasts_what_the_jwks_can_know(
    one: Process, clock: ManualClock
) -> None:
    await settled(one)
    assert one.keys.jwks().max_age == SCHEDULE.jwks_max_age

    clock.advance(SCHEDULE.publication / 2 - SECOND)
    assert one.keys.jwks().max_age == SECOND
    clock.advance(SCHEDULE.lifetime)
    assert one.keys.jwks().max_age == timedelta()


async def test_early_rotation_waits_for_the_publication(
    one: Process, clock: ManualClock
) -> None:
    await settled(one)
    with pytest.raises(KeyTooNewError):
        await one.rotation.rotate()

    clock.advance(SCHEDULE.publication)
    kid = await one.rotation.rotate()

    await one.keys.refresh()
    assert (await one.keys.active()).kid == kid


async def test_withdrawn_key_leaves_the_jwks_at_once(
    one: Process, other: Process
) -> None:
    await settled(one)
    compromised = (await other.keys.active()).kid
    successor = await one.rotation.withdraw()

    await other.keys.refresh()
    assert await other.keys.fetch(compromised) is None
    assert compromised.encode() not in other.keys.jwks().body
    assert (await other.keys.active()).kid == successor


async def test_withdrawal_bears_keys_that_a_clock_which_was_ahead_has_published(
    one: Process, clock: ManualClock
) -> None:
    await settled(one)
    clock.advance(-timedelta(days=365))
    compromised = (await one.keys.active()).kid

    successor = await one.rotation.withdraw()

    assert (await one.keys.active()).kid == successor != compromised
    await settled(one)
    clock.advance(SCHEDULE.lifetime)
    assert await one.rotation.advance() is Step.ROTATE


async def test_withdrawal_makes_a_new_key_where_the_next_does_not_open(
    one: Process, clock: ManualClock, database_url: str
) -> None:
    await settled(one)
    async with connected(database_url) as engine, engine.begin() as connection:
        await connection.execute(
            update(signing_keys)
            .where(signing_keys.c.slot == "next")
            .values(sealed_private_key=b"\0" * 64)
        )
    successor = await one.rotation.withdraw()

    assert (await one.keys.active()).kid == successor
    await settled(one)
    assert await states(one, clock) == Counter([KeyState.ACTIVE, KeyState.NEXT])


async def test_next_key_that_does_not_open_is_not_activated(
    one: Process, clock: ManualClock, database_url: str
) -> None:
    await settled(one)
    first = (await one.keys.active()).kid
    async with connected(database_url) as engine, engine.begin() as connection:
        await connection.execute(
            update(signing_keys)
            .where(signing_keys.c.slot == "next")
            .values(sealed_private_key=b"\0" * 64)
        )
    clock.advance(SCHEDULE.lifetime)
    await one.rotation.advance()

    assert (await one.keys.active()).kid == first


async def test_every_step_is_recorded(
    one: Process, clock: ManualClock, database_url: str
) -> None:
    await settled(one)
    clock.advance(SCHEDULE.lifetime)
    await settled(one)
    await one.rotation.withdraw()

    async with connected(database_url) as engine, engine.connect() as connection:
        actions = await connection.scalars(
            select(audit_events.c.action).order_by(audit_events.c.id)
        )
        assert actions.all() == [
            "signing_key.activated",
            "signing_key.published",
            "signing_key.activated",
            "signing_key.published",
            "signing_key.withdrawn",
        ]
