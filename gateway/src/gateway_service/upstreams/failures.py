"""The failures of requests, and the results of probes."""

from enum import Enum


class FailureKind(Enum):
    """How a request failed on a replica."""

    REFUSED = "refused"
    """No connection; nothing was sent."""
    RESET = "reset"
    """The connection ended before the head of a response was complete."""
    TIMEOUT = "timeout"
    """No connection, or no head of a response, in time."""
    BAD_ANSWER = "bad_answer"
    """The response was not HTTP, or incomplete."""
    STATUS = "status"
    """500, 502, 503 or 504."""


class ProbeResult(Enum):
    """The result of one probe."""

    READY = "ready"
    """2xx."""
    NOT_READY = "not ready"
    """It responded, but not with success: it accepts no requests."""
    REFUSED = "refused"
    """Nothing listens: the process is gone."""
    SILENT = "silent"
    """No response in time, or none that is HTTP."""
    INCONCLUSIVE = "inconclusive"
    """The gateway itself lacked what the probe needs, or time to read a response."""
