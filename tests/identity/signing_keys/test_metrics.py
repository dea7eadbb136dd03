from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry
from tests.support.identity import (
    PASSWORD,
    give_signing_keys,
    identity_settings,
    registry_of,
)

from identity_service.composition import Services
from identity_service.domain.sessions.sessions import Device
from identity_service.usecases.sign_up import SignUp

HERE = Device(name="test", address="127.0.0.1")


@pytest.fixture
async def composed(database_url: str) -> AsyncIterator[Services]:
    settings = identity_settings(database_url)
    await give_signing_keys(settings)
    async with Services(settings) as services:
        yield services


@pytest.fixture
def registry(composed: Services) -> CollectorRegistry:
    return registry_of(composed)


async def test_operator_sees_the_age_of_the_key_and_when_it_rotates(
    composed: Services, registry: CollectorRegistry
) -> None:
    assert registry.get_sample_value("identity_signing_keys_published") is None

    await composed.tokens.keys.refresh()

    assert registry.get_sample_value("identity_signing_keys_published") == 2
    age = registry.get_sample_value("identity_signing_key_age_seconds")
    left = registry.get_sample_value("identity_signing_key_rotation_seconds")
    read = registry.get_sample_value("identity_signing_keys_read_age_seconds")
    assert age is not None
    assert left is not None
    assert read is not None
    assert 0 <= read < 60
    assert age + left == pytest.approx(30 * 86_400, abs=1)


async def test_operator_sees_leases_and_sizes_of_lists(
    composed: Services, registry: CollectorRegistry
) -> None:
    assert registry.get_sample_value("identity_status_list_leases_total") == 0
    alice = SignUp(username="alice", email="alice@example.test", password=PASSWORD)
    await composed.sign_ups.sign_up(alice, HERE)
    await composed.passwords.sign_in("alice", PASSWORD, HERE)
    (uri,) = await composed.tokens.status_lists.uris()
    name = uri.rpartition("/")[2]
    await composed.tokens.status_lists.get(name)

    assert registry.get_sample_value("identity_status_list_leases_total") == 1
    assert registry.get_sample_value("identity_status_list_entries_left") == 255
    size = registry.get_sample_value("identity_status_list_bytes", {"list": name})
    assert size is not None
    assert size < 1000
