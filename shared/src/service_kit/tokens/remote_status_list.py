"""One of the issuer's status lists, kept fresh."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

from service_kit.clock import Clock
from service_kit.tokens.errors import InvalidTokenError, RefusalReason
from service_kit.tokens.fetching import Fetched
from service_kit.tokens.refresher import Refresher
from service_kit.tokens.remote_document import RemoteDocument
from service_kit.tokens.status_list_token import VerifiedStatusList

Verify = Callable[[bytes], Awaitable[VerifiedStatusList]]
"""Returns the list that a document is, or raises."""

Save = Callable[[bytes], None]
"""Is given each document that is a list, once that list is in use."""

_IDLE: Final = timedelta(hours=1)
"""A list that no token has referred to for so long is not fetched any more."""

_RETRY: Final = timedelta(seconds=1)
_LONGEST_RETRY: Final = timedelta(seconds=15)


class RemoteStatusList:
    """The latest list of one uri, if there is one, and when it was last asked for."""

    def __init__(
        self,
        uri: str,
        document: RemoteDocument,
        verify: Verify,
        clock: Clock,
        *,
        save: Save,
    ) -> None:
        self.document = document
        self.refresher = Refresher(
            uri,
            self._refresh,
            retry_delay=self._retry_delay,
            follow=lambda: document.follow(self._longest_wait, self._take_document),
        )
        self.verified: VerifiedStatusList | None = None
        self.asked_at: datetime = clock()
        self._verify = verify
        self._save = save
        self._clock = clock

    def usable(self, now: datetime) -> bool:
        """Return whether there is a list that has not expired."""
        return self.verified is not None and now < self.verified.expires_at

    def idle(self, now: datetime) -> bool:
        """Return whether the list has been unused long enough not to be refreshed."""
        return now - self.asked_at > _IDLE

    def entry(self, idx: int) -> int:
        """Return one entry of the list there is.

        Raises `InvalidTokenError`: the list is shorter, or there is none.
        """
        if self.verified is None:
            raise InvalidTokenError("no status list", RefusalReason.STATUS)
        try:
            return self.verified.statuses[idx]
        except IndexError as error:
            raise InvalidTokenError(
                "idx is outside the status list", RefusalReason.STATUS
            ) from error

    def take(self, verified: VerifiedStatusList) -> None:
        """Use the list from now on, unless it is older than one still in use.

        A server that lags behind must not make revoked tokens valid again.
        """
        if (
            self.verified is not None
            and self.usable(self._clock())
            and verified.issued_at < self.verified.issued_at
        ):
            return
        self.verified = verified

    async def _refresh(self) -> timedelta:
        if self.idle(self._clock()):
            self.verified = None
        else:
            await self.document.fetch(self._take_document)
        return self._ttl()

    async def _take_document(self, fetched: Fetched) -> None:
        verified = await self._verify(fetched.body)
        self.take(verified)
        if self.verified is verified:
            self._save(fetched.body)

    def _longest_wait(self) -> timedelta:
        """Notice within a ttl that nothing is pushed any more, as without push."""
        now = self._clock()
        is_followed = self.usable(now) and not self.idle(now)
        return self._ttl() if is_followed else timedelta()

    def _ttl(self) -> timedelta:
        return _LONGEST_RETRY if self.verified is None else self.verified.ttl

    def _retry_delay(self) -> timedelta:
        """Pause no longer after failures than while all is well."""
        return _RETRY if self.verified is None else min(self._ttl(), _LONGEST_RETRY)
