"""The published status lists: signed, and rarely more than a second old."""

import asyncio
import gzip
import hashlib
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from identity_service.domain.errors import (
    DatabaseUnavailableError,
    StatusListNotFoundError,
)
from identity_service.domain.sessions.status_entries import list_bytes, list_uri
from identity_service.security.key_material import SigningKey, write_jws
from identity_service.storage.database import Database
from identity_service.usecases.caching.cached_value import CachedValue
from identity_service.usecases.caching.watching import LOOK_SECONDS, Watch
from identity_service.usecases.keys.signing_keys import SigningKeys
from service_kit.clock import Clock
from service_kit.tokens import StatusList, status_list_claims
from service_kit.tokens.status_list_token import MEDIA_TYPE

_SIGNINGS_IN_A_LIFE: Final = 10
"""A list is signed again in each such part of its life, changed or not, so that most of
it is left if identity goes down. All processes count from the same moment, so none of
them signs what another has just signed."""

_VERSION_LENGTH: Final = 32
"""Hex digits."""

_Revisions = Mapping[str, Hashable]
"""By the names of lists."""


@dataclass(frozen=True, slots=True)
class PublishedList:
    """A signed list, ready to be served."""

    body: bytes
    gzipped: bytes
    version: str
    """The same in all processes, until the list changes or is signed again."""
    issued_at: datetime
    expires_at: datetime


class StatusLists:
    """Signed lists, made when they are asked for.

    While the database is unavailable the last ones serve until they expire. They are
    never signed again without reading what is revoked.
    """

    def __init__(
        self,
        database: Database,
        keys: SigningKeys,
        clock: Clock,
        *,
        issuer: str,
        lifetime: timedelta,
        ttl: timedelta,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._keys = keys
        self._clock = clock
        self._issuer = issuer
        self._lifetime = lifetime
        self._ttl = ttl
        self._monotonic = monotonic
        self._names = CachedValue(self._read_names, monotonic)
        self._revisions = CachedValue(
            self._read_revisions, monotonic, max_age=LOOK_SECONDS
        )
        """Of all lists together: one query for all who wait for any of them.

        So a change may be seen up to twice `LOOK_SECONDS` after it was made.
        """
        self._lists: dict[str, _List] = {}

    async def uris(self) -> list[str]:
        """Return where each list is."""
        return [list_uri(self._issuer, name) for name in await self._names.get()]

    async def get(self, name: str) -> PublishedList:
        """Return a list that contains every revocation older than a second.

        Raises `StatusListNotFoundError`: there is none of this name;
        `DatabaseUnavailableError`: what was read of it has expired, and can't be read
        again.
        """
        published = await (await self._list(name)).cached.get()
        if self._clock() >= published.expires_at:
            raise DatabaseUnavailableError("the status list has expired")
        return published

    async def watch(self, name: str) -> Watch[PublishedList]:
        """Return the watch that fires when the list changes.

        Raises `StatusListNotFoundError`.
        """
        return (await self._list(name)).watch

    async def stop(self) -> None:
        """Stop watching lists."""
        for each in self._lists.values():
            await each.watch.stop()

    def sizes(self) -> dict[str, int]:
        """Return the length in bytes of each list that was served recently."""
        return {
            name: len(each.cached.value.body)
            for name, each in self._lists.items()
            if each.cached.value is not None
        }

    def expires_at(self) -> datetime | None:
        """Return when the first of the recently served lists expires."""
        lists = [each.cached.value for each in self._lists.values()]
        return min((each.expires_at for each in lists if each), default=None)

    async def _list(self, name: str) -> "_List":
        if not await self._exists(name):
            raise StatusListNotFoundError
        if name not in self._lists:
            cached = CachedValue(partial(self._publish, name), self._monotonic)
            revision = partial(self._revision, name)
            self._lists[name] = _List(cached, revision)
        return self._lists[name]

    async def _exists(self, name: str) -> bool:
        """Return whether there is such a list, even if it was just created.

        For an unknown name the names are read again, once for all requests.
        """
        return name in await self._names.get() or name in await self._names.renewed()

    async def _read_names(self, _: tuple[str, ...] | None) -> tuple[str, ...]:
        names = await self._database.read(lambda unit: unit.status_lists.names())
        for name in self._lists.keys() - set(names):
            del self._lists[name]
        return tuple(names)

    async def _revision(self, name: str) -> Hashable:
        return (await self._revisions.get()).get(name)

    async def _read_revisions(self, _: _Revisions | None) -> _Revisions:
        names = tuple(self._lists)
        return await self._database.read(
            lambda unit: unit.status_lists.revisions(names)
        )

    async def _publish(self, name: str, present: PublishedList | None) -> PublishedList:
        revoked = await self._database.read(
            lambda unit: unit.status_lists.revoked(name)
        )
        key = await self._keys.active()
        now = self._clock()
        entries = await asyncio.to_thread(list_bytes, revoked)
        version = self._version(entries, key, now)
        if present is not None and present.version == version:
            return present
        return await asyncio.to_thread(
            self._sign, name, entries, key, now, version=version
        )

    def _version(self, entries: bytes, key: SigningKey, now: datetime) -> str:
        part = int(
            now.timestamp() * _SIGNINGS_IN_A_LIFE / self._lifetime.total_seconds()
        )
        content = b"%d %s %b" % (part, key.kid.encode(), entries)
        return hashlib.sha256(content).hexdigest()[:_VERSION_LENGTH]

    def _sign(
        self, name: str, entries: bytes, key: SigningKey, now: datetime, *, version: str
    ) -> PublishedList:
        """Return the list as a token. Takes some milliseconds, most to compress."""
        expires_at = now + self._lifetime
        claims = status_list_claims(
            list_uri(self._issuer, name),
            StatusList(entries),
            issued_at=now,
            expires_at=expires_at,
            ttl=self._ttl,
        )
        body = write_jws(claims, key, media_type=MEDIA_TYPE).encode()
        return PublishedList(
            body=body,
            gzipped=gzip.compress(body, mtime=0),
            version=version,
            issued_at=now,
            expires_at=expires_at,
        )


class _List:
    """One list, and the watch of its changes."""

    def __init__(
        self,
        cached: CachedValue[PublishedList],
        revision: Callable[[], Awaitable[Hashable]],
    ) -> None:
        self.cached = cached
        self.watch = Watch(lambda: cached.value, self._look)
        self._revision = revision
        self._looked_at: Hashable = None

    async def _look(self) -> None:
        """Read the list again if anything in it was revoked since the last query."""
        revision = await self._revision()
        if revision != self._looked_at:
            await self.cached.renewed()
            self._looked_at = revision
