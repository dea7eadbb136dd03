"""How requests fail on replicas."""

from enum import Enum


class FailureKind(Enum):
    """How a request failed on a replica."""

    REFUSED = "refused"
    """No connection; nothing was sent."""
    RESET = "reset"
    """The connection ended before the head of a response was complete."""
    TIMEOUT = "timeout"
    """No head of a response in time."""
    BAD_ANSWER = "bad_answer"
    """What came was not HTTP, or ended before its announced end."""
    STATUS = "status"
    """500, 502, 503 or 504."""
