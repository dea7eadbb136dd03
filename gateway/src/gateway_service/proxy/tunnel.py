"""WebSocket frames, both ways between a client and a replica (RFC 6455)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from gateway_service.http1.client import LINGER
from gateway_service.http1.exchange import Exchange
from gateway_service.http1.streams import Stream
from gateway_service.upstreams.connections.connection import UpstreamConnection

_GOING_AWAY: Final = (1001).to_bytes(2, "big")
_CLOSE: Final = b"\x88\x02" + _GOING_AWAY
"""What a server sends when it ends a connection (7.4.1)."""

_MASKED_CLOSE: Final = b"\x88\x82\0\0\0\0" + _GOING_AWAY
"""The same as a client sends it; nobody else's bytes are in it to be hidden."""

_AT_ONCE: Final = 128
"""Frames that are processed before others get their turn: 0.2 ms of work."""

_LONGEST_HEAD: Final = 14
_EXTENSIONS: Final = {126: 2, 127: 8}
"""Bytes of a longer length, by what stands in place of a short one (5.2)."""


class Frames:
    """Knows whether a stream is between two frames."""

    def __init__(self) -> None:
        self._head = b""
        self._left = 0

    @property
    def is_between(self) -> bool:
        """Whether a frame of our own may be sent now."""
        return not self._head and not self._left

    def feed(self, data: bytes, at: int = 0) -> int:
        """Process the bytes from ``at`` on, which are passed on; return their end.

        Of very many frames some are left for a later call.
        """
        for _ in range(_AT_ONCE):
            step = min(self._left, len(data) - at)
            self._left -= step
            at += step
            if at == len(data):
                break
            known = len(self._head)
            self._head += data[at : at + _LONGEST_HEAD - known]
            size = _head_size(self._head)
            if len(self._head) < size:
                return len(data)
            self._left = _payload_size(self._head)
            self._head = b""
            at += size - known
        return at


def _head_size(head: bytes) -> int:
    if len(head) < 2:  # noqa: PLR2004 - the bytes that say it
        return 2
    return 2 + _EXTENSIONS.get(head[1] & 0x7F, 0) + 4 * (head[1] >> 7)


def _payload_size(head: bytes) -> int:
    short = head[1] & 0x7F
    extension = _EXTENSIONS.get(short)
    return (
        short if extension is None else int.from_bytes(head[2 : 2 + extension], "big")
    )


async def tunnel(
    exchange: Exchange, connection: UpstreamConnection, from_upstream: Stream
) -> None:
    """Pass frames both ways until one side ends, or the gateway does.

    In the latter case both sides get a Close frame with 1001, unless one would stand
    within a frame of theirs. A replica whose client has ended its sending half may read
    what was sent, and respond: cutting it off would discard both.
    """
    client = exchange.client
    draining = asyncio.Event()
    from_client = client.open_tunnel(on_drain=draining.set)
    up_frames, down_frames = Frames(), Frames()
    up = asyncio.ensure_future(_pass_on(from_client, up_frames, connection.send))
    down = asyncio.ensure_future(_pass_on(from_upstream, down_frames, exchange.send))
    ways = (up, down, asyncio.ensure_future(draining.wait()))
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        if up.done():
            connection.end_sending()
            await asyncio.wait((down,), timeout=LINGER)
        elif draining.is_set():
            if down_frames.is_between:
                await exchange.send(_CLOSE)
            if up_frames.is_between:
                await connection.send(_MASKED_CLOSE)
                await asyncio.sleep(0.1)  # its transport is cut hereafter
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _pass_on(
    source: Stream, frames: Frames, send: Callable[[bytes], Awaitable[None]]
) -> None:
    """Pass frames on until the end, a limited number in each turn."""
    while data := await source.read():
        at = 0
        while at < len(data):
            end = frames.feed(data, at)
            await send(data[at:end])
            at = end
            if at < len(data):
                await asyncio.sleep(0)
