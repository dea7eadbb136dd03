"""The issuer's status lists, fetched from where it publishes them."""

import logging
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Final, Self

import aiohttp

from service_kit.clock import Clock, utc_now
from service_kit.strict_json import parse_object
from service_kit.tokens.claims import StatusReference
from service_kit.tokens.copies import CopiesOnDisk
from service_kit.tokens.errors import (
    InvalidTokenError,
    KeysUnavailableError,
    RefusalReason,
    StatusUnavailableError,
)
from service_kit.tokens.fetching import FetchError, fetch
from service_kit.tokens.key_set import KeySet
from service_kit.tokens.refresher import Refresher, one_deadline
from service_kit.tokens.remote_document import RemoteDocument
from service_kit.tokens.remote_status_list import RemoteStatusList
from service_kit.tokens.status_list import Status
from service_kit.tokens.status_list_token import (
    MAX_LENGTH,
    VerifiedStatusList,
    verify_status_list,
)

_MAX_LISTS: Final = 256
"""Lists kept at a time, of 16 KiB each where our issuer made them: as many as it has in
use at 370,000 sign-ins a day. Beyond, what is asked for least recently is fetched again
when a token refers to it again."""

_RECENTLY: Final = timedelta(minutes=1)
"""A stale list matters as long as tokens refer to it."""

_MAX_INDEX_BYTES: Final = 1024 * 1024
"""Some 10,000 lists, of which those named last are fetched."""
_INDEX_DELAY: Final = timedelta(hours=1)
_INDEX_RETRY: Final = timedelta(seconds=1)

_NO_INDEX: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED})
"""Responses of an issuer that names its lists only in its tokens."""

_SEGMENT: Final = r"[A-Za-z0-9_~-][A-Za-z0-9_.~-]*"
_REST: Final = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*")
"""What may follow a prefix: plain segments, none of them empty or climbing."""

_logger: Final = logging.getLogger(__name__)


class RemoteStatusLists:
    """A `StatusSource` kept fresh in the background, while ``async with`` lasts.

    ``prefixes`` says which lists may be asked for, and where: the beginning of a
    public uri, and what replaces it for fetching. A list serves until it expires,
    even while its issuer is unavailable. After that tokens cannot be judged; with
    ``fail_open`` the last list counts, and without one all tokens pass.

    Lists are fetched when a token first refers to them; those that the issuer names
    in its index (`aggregation` in the draft), at a prefix's own address, beforehand.
    """

    def __init__(
        self,
        prefixes: Mapping[str, str],
        keys: KeySet,
        session: aiohttp.ClientSession,
        *,
        fail_open: bool = False,
        clock: Clock = utc_now,
        copies: CopiesOnDisk | None = None,
    ) -> None:
        self._prefixes = {
            public.rstrip("/") + "/": fetched.rstrip("/") + "/"
            for public, fetched in prefixes.items()
        }
        self._keys = keys
        self._session = session
        self._fail_open = fail_open
        self._clock = clock
        self._copies = copies
        self._lists: dict[str, RemoteStatusList] = {}
        self._index_read = False
        self._index = Refresher(
            "status lists", self._read_index, retry_delay=lambda: _INDEX_RETRY
        )

    async def __aenter__(self) -> Self:
        """Begin to fetch; this does not wait for the issuer."""
        self._index.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop fetching."""
        await self._index.stop()
        for each in [*self._lists.values()]:
            await each.refresher.stop()
        if self._copies is not None:
            await self._copies.saved()

    def cached(self, reference: StatusReference, now: datetime) -> int | None:
        """Return the entry that the token refers to, if its list serves now."""
        remote = self._lists.get(reference.uri)
        if remote is None or not remote.usable(now):
            return None
        remote.asked_at = now
        return remote.entry(reference.idx)

    async def fetch(self, reference: StatusReference, now: datetime) -> int:
        """Return the entry that the token refers to; see `StatusSource`."""
        remote = self._lists.get(reference.uri)
        if remote is None:
            remote = await self._add(reference.uri)
        remote.asked_at = now
        if remote.usable(now):
            return remote.entry(reference.idx)
        with one_deadline():
            if await remote.refresher.current() and not remote.usable(self._clock()):
                await remote.refresher.next()
        if remote.usable(self._clock()):
            return remote.entry(reference.idx)
        if not self._fail_open:
            raise StatusUnavailableError("no status list that has not expired")
        return Status.VALID if remote.verified is None else remote.entry(reference.idx)

    def __len__(self) -> int:
        return len(self._lists)

    @property
    def fetches(self) -> int:
        """How many requests were sent to the issuer for cached lists."""
        return sum(each.document.requests for each in self._lists.values())

    @property
    def failures(self) -> int:
        """How many of these requests failed."""
        return sum(each.refresher.failures for each in self._lists.values())

    @property
    def age(self) -> timedelta | None:
        """How long ago the issuer confirmed the one it confirmed longest ago."""
        ages = [each.document.age for each in self._in_use()]
        return max((age for age in ages if age is not None), default=None)

    @property
    def expires_at(self) -> datetime | None:
        """When the first of those in use expires, None if there is none."""
        lists = [each.verified for each in self._in_use()]
        return min((each.expires_at for each in lists if each), default=None)

    def _in_use(self) -> list[RemoteStatusList]:
        now = self._clock()
        return [each for each in self._lists.values() if not each.idle(now)]

    def fault(self) -> str | None:
        """Return why tokens cannot be judged at the moment, if they cannot."""
        if self._fail_open:
            return None
        now = self._clock()
        for remote in self._lists.values():
            if now - remote.asked_at < _RECENTLY and not remote.usable(now):
                return "a status list in use has expired or never came"
        return None if self._index_read else "the status lists have not been named yet"

    async def _add(self, uri: str) -> RemoteStatusList:
        """Return a list; add it if it is new, and begin to keep it fresh."""
        url = self._fetch_url(uri)
        if uri not in self._lists:
            await self._make_room()
        if uri in self._lists:  # by another task, or meanwhile
            return self._lists[uri]
        remote = RemoteStatusList(
            uri,
            RemoteDocument(url, self._session, max_bytes=MAX_LENGTH),
            partial(self._verified, uri),
            self._clock,
            save=partial(self._copy, uri),
        )
        self._lists[uri] = remote
        try:
            if self._copies is not None:
                await self._take_copy(remote, uri, await self._copies.load(uri))
        finally:
            remote.refresher.start()  # even if the caller is cancelled
        return remote

    def _fetch_url(self, untrusted_uri: str) -> str:
        """Return where a list is fetched; no uri leads anywhere unforeseen (SSRF)."""
        for public, fetched in self._prefixes.items():
            rest = untrusted_uri.removeprefix(public)
            if rest != untrusted_uri and _REST.fullmatch(rest):
                return fetched + rest
        raise InvalidTokenError(
            "its status list is nobody's we trust", RefusalReason.STATUS
        )

    async def _make_room(self) -> None:
        if len(self._lists) < _MAX_LISTS:
            return
        uri, remote = min(self._lists.items(), key=lambda item: item[1].asked_at)
        del self._lists[uri]
        await remote.refresher.stop()

    def _copy(self, url: str, document: bytes) -> None:
        if self._copies is not None:
            self._copies.save(url, document)

    async def _verified(self, uri: str, document: bytes) -> VerifiedStatusList:
        untrusted_token = document.decode("latin-1").strip()
        return await verify_status_list(
            untrusted_token, self._keys, uri=uri, clock=self._clock
        )

    async def _take_copy(
        self, remote: RemoteStatusList, uri: str, document: bytes | None
    ) -> None:
        if document is None:
            return
        try:
            remote.take(await self._verified(uri, document))
        except (InvalidTokenError, KeysUnavailableError):
            return  # as if there were none

    async def _read_index(self) -> timedelta:
        """Fetch the lists of the index in advance, so that no request waits."""
        for fetched in self._prefixes.values():
            named = await self._named_in(fetched.rstrip("/"))
            for uri in named[-_MAX_LISTS:]:
                try:
                    await self._add(uri)
                except InvalidTokenError as error:
                    _logger.warning("status_list_refused", extra={"reason": str(error)})
        self._index_read = True
        return _INDEX_DELAY

    async def _named_in(self, url: str) -> list[str]:
        """Return the uris in an index; an issuer may have none."""
        match parse_object(await self._index_at(url)):
            case {"status_lists": [*uris]} if all(isinstance(u, str) for u in uris):
                return uris
            case _:
                raise ValueError("not an index of status lists")

    async def _index_at(self, url: str) -> bytes:
        try:
            body = (await fetch(self._session, url, max_bytes=_MAX_INDEX_BYTES)).body
        except FetchError as error:
            if error.status in _NO_INDEX:
                return b'{"status_lists":[]}'
            copy = None if self._copies is None else await self._copies.load(url)
            if copy is None:
                raise
            return copy
        self._copy(url, body)
        return body
