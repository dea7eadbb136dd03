"""Processes and commands whose key-encryption keys are not those that seal the keys."""

from argparse import Namespace
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry
from sqlalchemy import select, update
from tests.identity.signing_keys.processes import SCHEDULE, process, sealer
from tests.support.database import connected
from tests.support.identity import (
    KEYS,
    give_signing_keys,
    identity_settings,
    random_key,
    starting_identity,
    until_ready,
)
from tests.support.manual_clock import ManualClock

from identity_service import commands
from identity_service.app import create_app
from identity_service.domain.errors import KeysUnopenedError
from identity_service.settings import Settings
from identity_service.storage.tables import signing_keys
from service_kit.health import Readiness
from service_kit.running.internal_app import create_internal_app

RIGHT = KEYS["IDENTITY_KEY_ENCRYPTION_KEYS"]


async def rows(url: str) -> list[Mapping[str, Any]]:
    async with connected(url) as engine, engine.connect() as connection:
        found = await connection.execute(
            select(signing_keys).order_by(signing_keys.c.slot)
        )
        return [dict(row) for row in found.mappings()]


async def spoil(url: str, slot: str) -> None:
    """Make the key of a slot one that nobody opens."""
    async with connected(url) as engine, engine.begin() as connection:
        await connection.execute(
            update(signing_keys)
            .where(signing_keys.c.slot == slot)
            .values(sealed_private_key=b"\0" * 64)
        )


async def signs_in(settings: Settings) -> bool:
    """Return whether people can sign in where identity serves with these settings."""
    async with starting_identity(settings) as (identity, readiness):
        await until_ready(readiness)
        return "accessToken" in await identity.signed_in("alice")


async def rotated(settings: Settings, **arguments: bool) -> tuple[int, list[str]]:
    said = list[str]()
    code = await commands.rotate_signing_key(
        settings, Namespace(**{"now": False, **arguments}), said.append
    )
    return code, said


@pytest.mark.parametrize("now", [False, True], ids=["rotate", "now"])
async def test_wrong_encryption_key_changes_nothing_and_says_so(
    database_url: str,
    now: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    await give_signing_keys(identity_settings(database_url))
    before = await rows(database_url)
    wrong = identity_settings(database_url, IDENTITY_KEY_ENCRYPTION_KEYS=random_key())

    code, said = await rotated(wrong, now=now)

    assert code == 1
    assert said[0].startswith("nothing was changed: signing key ")
    assert await rows(database_url) == before
    assert await signs_in(identity_settings(database_url))


async def test_a_new_key_is_sealed_so_that_those_who_serve_can_open_it(
    database_url: str,
) -> None:
    await give_signing_keys(identity_settings(database_url))
    await spoil(database_url, "next")
    typo = f"{random_key()},{RIGHT}"

    code, said = await rotated(
        identity_settings(database_url, IDENTITY_KEY_ENCRYPTION_KEYS=typo), now=True
    )

    assert (code, said[0].startswith("signs now: ")) == (0, True)
    assert await signs_in(identity_settings(database_url))


async def test_an_active_key_that_does_not_open_is_succeeded_by_a_next_that_does(
    database_url: str,
) -> None:
    await give_signing_keys(identity_settings(database_url))
    await spoil(database_url, "active")
    settings = identity_settings(database_url)

    assert (await rotated(settings))[0] == 1
    assert (await rotated(settings, now=True))[0] == 0
    assert await signs_in(settings)


async def test_keys_sealed_by_a_lost_key_are_replaced_on_demand_only(
    database_url: str,
) -> None:
    await give_signing_keys(identity_settings(database_url))
    new = identity_settings(database_url, IDENTITY_KEY_ENCRYPTION_KEYS=random_key())

    assert (await rotated(new, now=True))[0] == 1
    assert (await rotated(new, replace_unopened=True))[0] == 0
    assert await signs_in(new)


async def test_a_process_with_wrong_keys_neither_publishes_nor_rotates(
    database_url: str,
) -> None:
    clock = ManualClock()
    async with (
        process(database_url, clock) as right,
        process(database_url, clock, seals_with=sealer("b")) as wrong,
    ):
        await right.rotation.advance()
        assert await wrong.rotation.advance() is None
        assert [row["slot"] for row in await rows(database_url)] == ["active"]
        await right.rotation.advance()
        published = await rows(database_url)
        clock.advance(SCHEDULE.lifetime)
        assert await wrong.rotation.advance() is None
        assert await rows(database_url) == published
        assert await right.rotation.advance() is not None


async def test_a_process_that_opens_only_the_next_key_does_not_rotate(
    database_url: str,
) -> None:
    clock = ManualClock()
    async with (
        process(database_url, clock) as first,
        process(database_url, clock, seals_with=sealer("b", "a")) as both,
        process(database_url, clock, seals_with=sealer("b")) as second,
    ):
        await first.rotation.advance()
        await both.rotation.advance()
        clock.advance(SCHEDULE.lifetime)
        before = await rows(database_url)

        assert await first.rotation.advance() is None
        assert await second.rotation.advance() is None
        with pytest.raises(KeysUnopenedError):
            await first.rotation.rotate()
        assert await rows(database_url) == before
        assert await both.rotation.advance() is not None


@pytest.mark.parametrize(
    ("spoilt", "status"),
    [
        pytest.param("active", 503, id="cannot-sign"),
        pytest.param("next", 200, id="signs-until-the-rotation"),
    ],
)
async def test_readiness_doctor_and_metrics_name_a_key_that_does_not_open(
    database_url: str, spoilt: str, status: int
) -> None:
    settings = identity_settings(database_url)
    await give_signing_keys(settings)
    await spoil(database_url, spoilt)
    kid = next(r["kid"] for r in await rows(database_url) if r["slot"] == spoilt)
    readiness, registry, said = Readiness(), CollectorRegistry(), list[str]()
    internal = create_internal_app("identity", readiness, registry)
    app = create_app(settings, readiness=readiness, registry=registry)
    async with TestClient(TestServer(app)), TestClient(TestServer(internal)) as client:
        while "have not been read" in await (await client.get("/readyz")).text():
            pass
        response = await client.get("/readyz")
        told = await response.text()
        metrics = await (await client.get("/metrics")).text()
    code = await commands.doctor(settings, Namespace(), said.append)

    assert response.status == status
    assert f"signing key {kid} does not open" in told
    assert "identity_signing_keys_unopened 1.0" in metrics
    assert code == 1
    assert any(f"fault signing keys: signing key {kid}" in line for line in said)
