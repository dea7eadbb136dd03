"""What an upstream answered, or why it did not."""

from dataclasses import dataclass

from gateway_service.upstreams.failures import FailureKind
from service_kit.edge.fields import Values
from service_kit.edge.streams import Stream


class UpstreamError(Exception):
    """A replica gave no usable answer."""

    def __init__(self, kind: FailureKind, *, in_time: bool = True) -> None:
        super().__init__(kind.value)
        self.kind = kind
        self.in_time = in_time
        """False: it was given up, for it might still come."""


@dataclass(slots=True)
class Answer:
    """The head of an answer, and its body as far as it has come."""

    status: int
    lines: list[bytes]
    """The fields that are passed on."""
    values: Values
    """Those the gateway reads."""
    length: int
    """Of the body: octets, `CHUNKED` or `UNTIL_CLOSE`."""
    bodiless_framing: bytes | None
    """What is told of a body's length where there is none (HEAD, 204, 304)."""
    body: bytes | Stream
    """The whole body if it came with the head, else the way to get it."""
