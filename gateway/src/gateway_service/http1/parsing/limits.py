"""How much of a message is taken from a peer, and how long it is waited for."""

from dataclasses import dataclass
from typing import Final, NamedTuple

_LINE_END: Final = 2
"""Bytes of it; no limit counts them."""


class HeadLimits(NamedTuple):
    """Bytes (and fields) that the head of a message may have."""

    start_line: int = 8_192
    field: int = 8_192
    fields: int = 32_768
    field_count: int = 100

    @property
    def head(self) -> int:
        """The longest head that can be within all limits."""
        lines = self.field_count + 2  # with the first one, and the empty one
        return self.start_line + self.fields + lines * _LINE_END


class ChunkLimits(NamedTuple):
    """How finely a body may be cut into chunks: each is work, however small."""

    overhead: int = 16_384
    """Bytes of framing that a body may have beyond as many as it has of payload.

    That is 4,096 chunks of one byte; chunks of more than four bytes never count.
    """
    extensions: int = 16_384
    """Bytes of chunk extensions in one body; a trickle of them is an attack."""
    at_once: int = 128
    """Chunks that are read before others get their turn: 0.3 ms of work."""


@dataclass(frozen=True)
class ClientTimeouts:
    """How long a client is waited for, in seconds."""

    head: float = 10.0
    """For the whole request line and header block, from its first byte."""
    body: float = 20.0
    """For the whole body, plus one second for each `body_rate` bytes received."""
    body_rate: int = 1_024
    """Bytes a second below which a body counts as stalled."""
    send: float = 20.0
    """For the client to take what was written to it."""
    keep_alive: float = 75.0
    """For the next request on a connection."""
