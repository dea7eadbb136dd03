"""Several processes of identity, as far as signing keys go, on one database."""

import contextlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from tests.support.manual_clock import ManualClock
from tests.support.tokens import private_key

from identity_service.domain.signing_keys import KeySchedule
from identity_service.security.key_material import SigningKey
from identity_service.security.keyrings import Keyring, Sealer, SecretKey
from identity_service.storage.database import Database
from identity_service.storage.engines import create_engine
from identity_service.usecases.keys.rotation import KeyRotation
from identity_service.usecases.keys.signing_keys import SigningKeys
from service_kit.tokens import thumbprint

SCHEDULE: Final = KeySchedule(
    lifetime=timedelta(days=30),
    prepublication=timedelta(hours=1),
    jwks_max_age=timedelta(minutes=5),
    access_token_lifetime=timedelta(minutes=15),
)


def sealer(*names: str) -> Sealer:
    """Return a sealer with keys of these names; the first seals."""
    return Sealer(
        Keyring(SecretKey(name * 8, name.encode() * 32) for name in names or ("a",))
    )


_made = itertools.count()


async def ready_made_key() -> SigningKey:
    """Return a key that this test has not seen: making one takes long."""
    private = private_key(f"signing {next(_made) % 16}")
    return SigningKey(thumbprint(private.public_key()), private)


@dataclass
class Process:
    """What one process has of the keys."""

    database: Database
    keys: SigningKeys
    rotation: KeyRotation


@contextlib.asynccontextmanager
async def process(
    url: str,
    clock: ManualClock,
    *,
    schedule: KeySchedule = SCHEDULE,
    seals_with: Sealer | None = None,
) -> AsyncIterator[Process]:
    database = Database(create_engine(url, pool_size=3), clock)
    seals_with = seals_with or sealer()
    keys = SigningKeys(database, seals_with, schedule, clock, monotonic=clock.monotonic)
    rotation = KeyRotation(
        database,
        keys,
        sealer=seals_with,
        schedule=schedule,
        clock=clock,
        generate=ready_made_key,
    )
    try:
        yield Process(database, keys, rotation)
    finally:
        await database.close()
