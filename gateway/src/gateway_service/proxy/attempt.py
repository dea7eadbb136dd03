"""One attempt to get a response from a replica."""

import time
from enum import Enum
from typing import Final, Protocol

from gateway_service.http1.parsing.responses import ResponseHead
from gateway_service.upstreams.connections.connection import UpstreamConnection
from gateway_service.upstreams.connections.response import (
    Result,
    UpstreamError,
    UpstreamRequest,
)
from gateway_service.upstreams.failures import FailureKind
from gateway_service.upstreams.replica import Replica
from gateway_service.upstreams.upstream import Upstream

_FAILURE_STATUSES: Final = frozenset({500, 502, 503, 504})
"""Statuses that speak against a replica, and that another might not give."""

_UNAVAILABLE: Final = 503
_RETRY_AFTER: Final = b"retry-after:"


class Outcome(Enum):
    """The outcome of an attempt, as far as the next step depends on it."""

    RESPONSE = 1
    """A response to pass on."""
    FAILURE_STATUS = 2
    """A response that another replica might not give."""
    UNSENT = 3
    """There was no connection, or it ended before anything was sent."""
    STALE = 4
    """A connection from the pool was closed: this says nothing of the replica."""
    STALE_UNSENT = 5
    """The same, before anything was sent."""
    FAILED = 6
    """The request was sent, and there was no usable response."""


NOT_SENT: Final = frozenset({Outcome.UNSENT, Outcome.STALE_UNSENT})
STALE: Final = frozenset({Outcome.STALE, Outcome.STALE_UNSENT})
"""What says nothing of the replica, which may be asked again."""

# What each request needs: Python 3.11 takes 0.2 us to find a member in its Enum.
RESPONSE: Final = Outcome.RESPONSE


class Requester(Protocol):
    """Decides what follows an attempt."""

    def on_outcome(self, attempt: "Attempt", outcome: Outcome, result: Result) -> None:
        """Pass a response on, try again, or give up."""

    def on_interim(self, head: ResponseHead) -> None:
        """Pass an interim response on."""

    def on_slow(self, attempt: "Attempt", *, is_gone: bool) -> None:
        """Ask another replica as well, if that is sensible."""


class Attempt:
    """A place on a replica, and the connection to it; `release` gives both back.

    One that ``connects`` takes no connection from the pool: where one of those was
    closed, others may be as well.
    """

    __slots__ = (
        "_began_at",
        "_is_settled",
        "_limit",
        "_request",
        "_requester",
        "_upstream",
        "_was_open",
        "connection",
        "is_hedge",
        "is_hedged",
        "is_retry",
        "replica",
        "seconds",
    )

    def __init__(
        self,
        upstream: Upstream,
        replica: Replica,
        requester: Requester,
        request: UpstreamRequest,
        *,
        is_hedge: bool,
        connects: bool,
    ) -> None:
        self._upstream = upstream
        self._requester = requester
        self.replica = replica
        self.is_hedge = is_hedge
        """Whether another attempt was in flight when this one began."""
        self.is_retry = False
        """Whether another replica was asked before, which took some of `total`."""
        self.is_hedged = False
        """Whether another began because this one was slow."""
        self.connection: UpstreamConnection | None = (
            None if connects else replica.pool.take(is_repeatable=request.is_repeatable)
        )
        """Open already, or None until `connect` is through."""
        self._was_open = self.connection is not None
        self._request = request
        self._limit = upstream.adaptive
        if self._limit is not None:
            self._limit.begin(is_timed=request.is_timed)
        self._is_settled = not request.is_timed
        """Whether its response has begun, or waits by design."""
        if not request.is_timed:
            replica.settled += 1
            upstream.waiting += 1
        if request.proxied_client:
            upstream.clients.add(request.proxied_client)
        self._began_at = time.monotonic()
        self.seconds = 0.0
        """From its beginning to its result."""

    async def connect(self) -> UpstreamConnection:
        """Open a connection; the attempt has it once it sends.

        Raises `UpstreamError`: nothing was sent.
        """
        return await self.replica.pool.connect(self._request, self)

    def send(self, connection: UpstreamConnection) -> None:
        """Send the request, or the beginning of it."""
        self.connection = connection
        connection.send_request(self._request, self)

    def on_result(self, result: Result) -> None:
        """Record a result for or against the replica, and pass it on."""
        self.seconds = time.monotonic() - self._began_at
        if self._limit is not None:
            self._end_work(result)
        if isinstance(result, UpstreamError):
            outcome = self._outcome_of_error(result)
            if outcome not in STALE:
                self.blame_replica(result)
        else:
            outcome = self._outcome_of_response(result.head)
        self._requester.on_outcome(self, outcome, result)

    def _outcome_of_response(self, head: ResponseHead) -> Outcome:
        replica = self.replica
        replica.responses += 1
        if not self._is_settled:
            self._is_settled = True
            replica.settled += 1
        if head.status in _FAILURE_STATUSES:
            if not _sheds_load(head):
                replica.failed(FailureKind.STATUS)
            return Outcome.FAILURE_STATUS
        replica.failures = 0
        if self._request.may_be_hedged:
            replica.speed.seconds += self.seconds
            replica.speed.responses += 1
        return RESPONSE

    def _end_work(self, result: Result) -> None:
        limit, self._limit = self._limit, None
        if limit is None:
            return
        if isinstance(result, UpstreamError):
            is_measured = result.kind is FailureKind.TIMEOUT and not result.is_unsent
        else:
            is_measured = result.head.status not in _FAILURE_STATUSES
        if is_measured and self._request.is_timed:
            limit.end(self.seconds)
        else:
            limit.leave(is_timed=self._request.is_timed)

    def on_interim(self, head: ResponseHead) -> None:
        """Hand an interim response on."""
        self._requester.on_interim(head)

    def on_slow(self, *, is_gone: bool) -> None:
        """Let another replica be asked as well."""
        self._requester.on_slow(self, is_gone=is_gone)

    def _outcome_of_error(self, error: UpstreamError) -> Outcome:
        if self._was_open and error.kind is FailureKind.RESET:
            return Outcome.STALE_UNSENT if error.is_unsent else Outcome.STALE
        return Outcome.UNSENT if error.is_unsent else Outcome.FAILED

    def blame_replica(self, error: UpstreamError) -> None:
        """Record a failure as the replica's, unless it says nothing of it."""
        is_cut_short = (
            self.is_retry
            and error.kind is FailureKind.TIMEOUT
            and time.monotonic() >= self._request.total_at
        )
        if not (error.is_clients_fault or is_cut_short):
            self.replica.failed(error.kind)

    def lose(self) -> None:
        """End an attempt that another one overtook: it was slow, but did not fail."""
        if self._request.may_be_hedged:
            self.replica.speed.seconds += time.monotonic() - self._began_at
            self.replica.speed.responses += 1
        self.release()

    def release(self) -> None:
        """Give back what the attempt had; nothing more is awaited of it."""
        limit, self._limit = self._limit, None
        if limit is not None:
            limit.leave(is_timed=self._request.is_timed)
        connection, self.connection = self.connection, None
        if connection is not None:
            self.replica.pool.give_back(connection)
        if self._is_settled:
            self.replica.settled -= 1
        if not self._request.is_timed:
            self._upstream.waiting -= 1
        if self._request.proxied_client:
            self._upstream.clients.remove(self._request.proxied_client)
        self._upstream.release(self.replica)


def _sheds_load(head: ResponseHead) -> bool:
    """Whether a replica sheds load: it is healthy, and has too many requests."""
    return head.status == _UNAVAILABLE and any(
        line[: len(_RETRY_AFTER)].lower() == _RETRY_AFTER for line in head.lines
    )
