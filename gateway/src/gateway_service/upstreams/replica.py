"""One copy of an upstream and what is known of its state."""

from collections.abc import Callable
from enum import Enum
from typing import Generic, NamedTuple, Protocol, TypeVar


class Pool(Protocol):
    """Connections to one replica, as far as balancing must know."""

    def close(self) -> None:
        """Close every connection; none is in use any more."""

    def give_up(self) -> None:
        """Wait for no answer any longer that has not begun: the replica is gone."""


PoolT = TypeVar("PoolT", bound=Pool)


class Endpoint(NamedTuple):
    """Where a replica listens, and where it is probed."""

    host: str
    port: int
    probe_port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class Readiness(Enum):
    """What active probes last said."""

    UNKNOWN = "unknown"
    READY = "ready"
    NOT_READY = "not_ready"
    UNREACHABLE = "unreachable"


class FailureKind(Enum):
    """How a request failed on a replica."""

    REFUSED = "refused"
    """No connection; nothing was sent."""
    RESET = "reset"
    """The connection ended before an answer's head was complete."""
    TIMEOUT = "timeout"
    """No answer's head in time."""
    UNREACHABLE = "unreachable"
    """Probes found it gone while an answer's head was waited for."""
    BAD_ANSWER = "bad_answer"
    """What came was not HTTP, or ended before its announced end."""
    STATUS = "status"
    """500, 502, 503 or 504."""


class Replica(Generic[PoolT]):
    """One address of an upstream, with its connections, load and health."""

    __slots__ = (
        "_failing",
        "ejected_until",
        "ejections",
        "endpoint",
        "failures",
        "host",
        "in_flight",
        "joined_at",
        "pool",
        "port",
        "readiness",
        "requests",
        "retired",
        "share",
    )

    def __init__(
        self,
        endpoint: Endpoint,
        pool: PoolT,
        failing: Callable[["Replica[PoolT]", FailureKind], None],
    ) -> None:
        self.endpoint = endpoint
        self.host = endpoint.host
        self.port = endpoint.port
        self.pool = pool
        self.in_flight = 0
        self.requests = 0
        """How many were ever sent here."""
        self.readiness = Readiness.UNKNOWN
        self.failures = 0
        """Failed requests since the last good one."""
        self.ejected_until = 0.0
        """On the monotonic clock; 0 while not ejected."""
        self.ejections = 0
        """How often in a row it was ejected, which its back-off grows by."""
        self.joined_at = 0.0
        """When it last became usable; slow start counts from here."""
        self.share = 1.0
        """How much of its full share of requests it takes."""
        self.retired = False
        """No longer part of its upstream; ends when nothing is in flight."""
        self._failing = failing

    def succeeded(self) -> None:
        """Note an answer that speaks for the replica."""
        self.failures = 0

    def failed(self, kind: FailureKind) -> None:
        """Note a failure that was the replica's; its upstream may eject it."""
        self.failures += 1
        self._failing(self, kind)
