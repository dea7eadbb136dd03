"""One replica of an upstream, and its state."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Protocol

from gateway_service.upstreams.connections.connection import UpstreamConnection
from gateway_service.upstreams.connections.response import (
    ResponseHandler,
    UpstreamRequest,
)
from gateway_service.upstreams.endpoint import Endpoint
from gateway_service.upstreams.failures import FailureKind
from gateway_service.upstreams.speed import Speed

LONGEST_SILENCE: Final = 2.0
"""Seconds without a response after which a silent replica that has requests hangs.

Longer than a busy machine takes for one of several responses.
"""


class ReplicaHealth(Enum):
    """What active probes last said."""

    UNKNOWN = "unknown"
    READY = "ready"
    SILENT = "silent"
    """It responded once, and does no longer: gone, or on a busy machine."""
    NOT_READY = "not_ready"
    UNREACHABLE = "unreachable"
    """Nothing listens where it was probed before."""


class Pool(Protocol):
    """The connections to one replica."""

    @property
    def idle(self) -> int:
        """How many open connections have nothing to do."""

    @property
    def connections(self) -> int:
        """How many connections are open."""

    def take(self, *, is_repeatable: bool) -> UpstreamConnection | None:
        """Return an open connection that has nothing to do, if there is one.

        For a request that may not be repeated it is one that is open at this moment.
        """

    async def connect(
        self, request: UpstreamRequest, handler: ResponseHandler
    ) -> UpstreamConnection:
        """Open a new connection for a request; ``handler`` learns if that is slow.

        Raises `UpstreamError`: nothing was sent; `ProblemError`: that is no failure of
        the replica's.
        """

    def give_back(self, connection: UpstreamConnection) -> None:
        """Make a connection idle again, or close it if it cannot be used."""

    def suspect(self) -> None:
        """Notify all pending requests that the replica seems to be gone."""

    def close(self) -> None:
        """Close every connection that is idle, and the others once they are."""


@dataclass(eq=False)
class Replica:
    """One address of an upstream, with its connections, load and health."""

    endpoint: Endpoint
    pool: Pool
    _failing: Callable[["Replica", FailureKind], None]
    _responded_at: float
    """When it last responded, or had nothing to respond to."""
    in_flight: int = 0
    requests: int = 0
    """How many were ever sent here."""
    settled: int = 0
    """Of those in flight, the ones whose response has begun, or waits by design."""
    responses: int = 0
    """How many it ever gave, good or not."""
    hangs: bool = False
    """Silent to probes and to requests alike, until it responds to one of them."""
    _seen_responses: int = 0
    health: ReplicaHealth = ReplicaHealth.UNKNOWN
    failures: int = 0
    """Failed requests since the last good one."""
    ejected_until: float = 0.0
    """On the monotonic clock; 0 while not ejected."""
    ejections: int = 0
    """How often in a row it was ejected, which its back-off grows by."""
    joined_at: float = 0.0
    """When it last became usable; slow start counts from here."""
    share: float = 1.0
    """How much of its full share of requests it takes."""
    speed: Speed = field(default_factory=Speed)
    retired: bool = False
    """No longer part of its upstream; ends when nothing is in flight."""

    def look_at_silence(self, now: float) -> None:
        """Update `hangs`, a few times a second.

        On a busy machine a replica misses probes and goes on responding. One that has
        requests and responds to none is frozen.
        """
        has_responded = self.responses != self._seen_responses
        if (
            has_responded
            or self.health is not ReplicaHealth.SILENT
            or not (self.hangs or self.owes_response)
        ):
            self._seen_responses = self.responses
            self._responded_at = now
        self.hangs = now - self._responded_at >= LONGEST_SILENCE

    @property
    def owes_response(self) -> bool:
        """Whether it has a request whose response has not begun, and should."""
        return self.in_flight > self.settled

    def retire(self) -> None:
        """End once nothing is in flight; its upstream has it no longer."""
        self.retired = True
        if not self.in_flight:
            self.pool.close()

    def failed(self, kind: FailureKind) -> None:
        """Record a failure that was the replica's; its upstream may eject it."""
        self.failures += 1
        self._failing(self, kind)
