"""The issuer's keys, cached in memory as the database last had them."""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from identity_service.domain.errors import KeysUnopenedError, SigningKeyUnavailableError
from identity_service.domain.signing_keys import (
    KeyRecord,
    KeySchedule,
    KeyState,
    in_slot,
)
from identity_service.security.key_material import (
    SigningKey,
    open_signing_key,
    read_published_jwk,
)
from identity_service.security.keyrings import SealBrokenError, Sealer
from identity_service.storage.database import Database
from identity_service.usecases.caching.single_flight import SingleFlight
from identity_service.usecases.caching.watching import Watch
from service_kit.clock import Clock
from service_kit.tokens import (
    KeysUnavailableError,
    UnusableKeyError,
    VerificationKey,
    public_jwk,
)

_logger: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Jwks:
    """The published keys, as they are served."""

    body: bytes
    max_age: timedelta
    """How long verifiers may keep it."""


@dataclass(frozen=True, slots=True)
class KeyReport:
    """What the operator watches."""

    published: int
    activated_at: datetime
    rotates_at: datetime | None
    """None until the next key is published."""
    lag: timedelta
    """How long ago the keys were read from the database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Snapshot:
    """What the database said, and when it was asked."""

    read_at: float
    """By the monotonic clock."""
    records: tuple[KeyRecord, ...]
    opened: dict[tuple[str, bytes], SigningKey]
    """By kid and sealed private half: those that sign or are to sign, and open."""
    signing_key: SigningKey | None
    verification_keys: dict[str, VerificationKey]
    jwks: bytes


class SigningKeys:
    """The issuer's keys; as a `KeySet`, those with which it verifies its own tokens."""

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        schedule: KeySchedule,
        clock: Clock,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._schedule = schedule
        self._clock = clock
        self._monotonic = monotonic
        self._snapshot: _Snapshot | None = None
        self._reading = SingleFlight(self._read)
        self.watch = Watch(self._published, self._look)
        """Fires when what `jwks` returns has changed."""

    async def active(self) -> SigningKey:
        """Return the key that signs now, from memory.

        If the database has not confirmed it for a while, it is asked first: no process
        signs with a key that another has retired long ago.

        Raises `SigningKeyUnavailableError`: there is none, or it does not open;
        `DatabaseUnavailableError`: it can't be confirmed.
        """
        snapshot = self._snapshot
        if snapshot is None or self._lag(snapshot) > self._schedule.confirmation:
            snapshot = await self._reading.join()
        if snapshot.signing_key is None:
            raise SigningKeyUnavailableError
        return snapshot.signing_key

    def cached(self, kid: str) -> VerificationKey | None:
        """Return the published key of that name, if the keys have been read."""
        snapshot = self._snapshot
        return None if snapshot is None else snapshot.verification_keys.get(kid)

    async def fetch(self, kid: str) -> VerificationKey | None:
        """Return the published key of that name; see `service_kit.tokens.KeySet`."""
        if self._snapshot is None:
            raise KeysUnavailableError
        return self.cached(kid)

    def jwks(self) -> Jwks:
        """Return the published keys from memory, even if the database is unavailable.

        Raises `SigningKeyUnavailableError`: none have been read yet.
        """
        snapshot = self._snapshot
        if snapshot is None or not snapshot.verification_keys:
            raise SigningKeyUnavailableError
        max_age = self._schedule.max_age(self._lag(snapshot))
        return Jwks(snapshot.jwks, max_age)

    def kids(self) -> list[str]:
        """Return the names of the published keys, if they have been read."""
        snapshot = self._snapshot
        return [] if snapshot is None else list(snapshot.verification_keys)

    async def refresh(self) -> tuple[KeyRecord, ...]:
        """Read the keys from the database, and return their records."""
        return (await self._reading.join()).records

    def opens(self, record: KeyRecord) -> bool:
        """Return whether this process could sign with the key, were it active."""
        return self._snapshot is not None and _seal(record) in self._snapshot.opened

    def unopened(self) -> list[str]:
        """Return the names of keys that sign or are to sign, but do not open here."""
        records = in_slot(self._snapshot.records if self._snapshot else ())
        return [each.kid for each in records if each and not self.opens(each)]

    async def fault(self) -> str | None:
        """Return why this process can't sign, None if it can: for its readiness."""
        snapshot = self._snapshot
        if snapshot is None:
            return "the signing keys have not been read"
        if snapshot.signing_key is not None:
            return None
        return await self.warning() or "there is no signing key"

    async def warning(self) -> str | None:
        """Return which keys do not open, None if all do.

        A process that signs goes on when its next key does not open. It warns, because
        it cannot sign after a rotation elsewhere or after a restart.
        """
        kids = self.unopened()
        return str(KeysUnopenedError(kids)) if kids else None

    def report(self) -> KeyReport | None:
        """Return what is known of the keys, None if nothing is."""
        snapshot = self._snapshot
        if snapshot is None:
            return None
        active, following = in_slot(snapshot.records)
        if active is None:
            return None
        return KeyReport(
            published=len(snapshot.verification_keys),
            activated_at=active.activated_at or active.published_at,
            rotates_at=(
                None
                if following is None
                else self._schedule.rotates_at(active, following)
            ),
            lag=self._lag(snapshot),
        )

    def _lag(self, snapshot: _Snapshot) -> timedelta:
        return timedelta(seconds=self._monotonic() - snapshot.read_at)

    def _published(self) -> bytes | None:
        return None if self._snapshot is None else self._snapshot.jwks

    async def _look(self) -> None:
        """Read the keys again if another process has changed them."""
        records = await self._database.read(lambda unit: unit.signing_keys.all())
        if self._snapshot is None or tuple(records) != self._snapshot.records:
            await self._reading.join()

    async def _read(self) -> _Snapshot:
        read_at = self._monotonic()
        records = await self._database.read(lambda unit: unit.signing_keys.all())
        keys = self._verification_keys(records)
        body = json.dumps(
            {"keys": [public_jwk(key) for key in keys.values()]}, separators=(",", ":")
        ).encode()
        opened = self._open(records)
        self._snapshot = _Snapshot(
            read_at=read_at,
            records=tuple(records),
            opened=opened,
            signing_key=self._signing_key(records, opened),
            verification_keys=keys,
            jwks=body,
        )
        return self._snapshot

    def _verification_keys(
        self, records: list[KeyRecord]
    ) -> dict[str, VerificationKey]:
        """Return the keys that are published, those already known as the same objects.

        A memory of verified tokens also holds the key's object.
        """
        now = self._clock()
        known = self._snapshot.verification_keys if self._snapshot else {}
        keys = {}
        for record in records:
            if record.state(now) is KeyState.GONE:
                continue
            try:
                keys[record.kid] = known.get(record.kid) or read_published_jwk(
                    record.kid, record.public_jwk
                )
            except UnusableKeyError as error:
                _log_refused_key(record.kid, error)
        return keys

    def _open(self, records: list[KeyRecord]) -> dict[tuple[str, bytes], SigningKey]:
        known = self._snapshot.opened if self._snapshot else {}
        opened: dict[tuple[str, bytes], SigningKey] = {}
        for record in in_slot(records):
            if record is None:
                continue
            seal = kid, sealed = _seal(record)
            try:
                opened[seal] = known.get(seal) or open_signing_key(
                    kid, sealed, self._sealer
                )
            except (SealBrokenError, UnusableKeyError) as error:
                _log_refused_key(kid, error)
        return opened

    def _signing_key(
        self, records: list[KeyRecord], opened: dict[tuple[str, bytes], SigningKey]
    ) -> SigningKey | None:
        """Return the active key, even where only its present seal does not open."""
        active, _ = in_slot(records)
        if active is None:
            return None
        known = self._snapshot.signing_key if self._snapshot else None
        if known is not None and known.kid == active.kid:
            return known
        return opened.get(_seal(active))


def _seal(record: KeyRecord) -> tuple[str, bytes]:
    return record.kid, record.sealed_private_key or b""


def _log_refused_key(kid: str, error: Exception) -> None:
    """Log that a key of the database can't be used, and why."""
    _logger.error("signing_key_refused", extra={"kid": kid, "reason": str(error)})
